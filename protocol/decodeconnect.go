package protocol

func (d *decoder) connect() *Connect {
	m := &Connect{
		Token:   d.text(fieldToken, ""),
		Device:  d.text(fieldDevice, ""),
		Window:  d.uint32(fieldWindow),
		User:    d.userID(fieldUser, ""),
		Session: d.text(fieldSession, ""),
		Head:    d.uint64(fieldHead),
	}
	if d.present(fieldCursor) {
		cursor := d.uint64(fieldCursor)
		m.Cursor = &cursor
	}
	if inner, ok := d.object(fieldLimits); ok {
		m.Limits = inner.limits()
		d.adopt(fieldLimits, inner.err)
	}
	if inner, ok := d.object(fieldGap); ok {
		m.Gap = inner.gap()
		d.adopt(fieldGap, inner.err)
	}
	return m
}

func (d *decoder) limits() *Limits {
	return &Limits{
		FrameBytes:     d.uint32(fieldFrameBytes),
		UserIdBytes:    d.uint32(fieldUserIDBytes),
		MessageIdBytes: d.uint32(fieldMessageIDBytes),
		InFlight:       d.uint32(fieldInFlight),
		Sessions:       d.uint32(fieldSessions),
		PingIntervalMs: d.uint32(fieldPingIntervalMS),
		MissedPongs:    d.uint32(fieldMissedPongs),
	}
}

func (d *decoder) gap() *Gap {
	return &Gap{
		First: d.uint64(fieldFirst),
		Last:  d.uint64(fieldLast),
	}
}

// object is a decoder for the object in field f; false if there is none.
func (d *decoder) object(f field) (*decoder, bool) {
	v := &d.values[f]
	if v.shape != shapeObject {
		d.wrongShape(f, "an object")
		return nil, false
	}
	inner := &decoder{frame: d.bytes(v)}
	// The object was scanned with the frame; this time its fields are noted.
	scanFrame(inner.frame, &inner.values)
	return inner, true
}

// adopt makes the first fault in the object of field f a fault of the frame.
func (d *decoder) adopt(f field, err *FrameError) {
	if d.err != nil || err == nil {
		return
	}
	err.Field = fieldNames[f] + "." + err.Field
	err.Reason = fieldNames[f] + "." + err.Reason
	d.err = err
}
