package protocol

import "strconv"

func (d *decoder) connect() *Connect {
	m := &Connect{
		Token:   d.text(fieldToken, ""),
		Device:  d.device(),
		Window:  d.uint32(fieldWindow),
		User:    d.userID(fieldUser, ""),
		Session: d.text(fieldSession, ""),
		Head:    d.uint64(fieldHead),
		Epoch:   d.uint32(fieldEpoch),
	}
	if d.present(fieldCursor) {
		cursor := d.uint64(fieldCursor)
		m.Cursor = &cursor
	}
	if inner, ok := d.object(fieldLimits); ok {
		m.Limits = inner.limits()
		d.adopt(fieldLimits, inner.err)
	}
	m.Gap = d.gap()
	if len(m.Token) > MaxTokenBytes {
		d.refuse(CodeInvalidMessage, fieldToken, "too long; a token has at most 4096 bytes")
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
		ContentBytes:   d.uint32(fieldContentBytes),
		WindowBytes:    d.uint32(fieldWindowBytes),
		Devices:        d.uint32(fieldDevices),
	}
}

// gap is the gap of a CONNECT or an ERROR, nil if it has none.
func (d *decoder) gap() *Gap {
	inner, ok := d.object(fieldGap)
	if !ok {
		return nil
	}
	gap := &Gap{
		First: inner.uint64(fieldFirst),
		Last:  inner.uint64(fieldLast),
	}
	d.adopt(fieldGap, inner.err)
	return gap
}

// object is a decoder for the object in field f; false if there is none.
func (d *decoder) object(f field) (*decoder, bool) {
	v := &d.values[f]
	inner := &decoder{frame: d.bytes(v), binary: d.binary}
	switch v.shape {
	case shapeObject:
		// The object was scanned with the frame; this time its fields are noted.
		scanFrame(inner.frame, &inner.values)
		return inner, true
	case shapeBytes:
		if i, fault := scanFields(inner.frame, 0, fieldsOf(f), &inner.values); fault != "" {
			d.refuse(CodeInvalidMessage, f, fault+", at byte "+strconv.Itoa(i))
		}
		return inner, true
	}
	d.wrongShape(f, "an object")
	return nil, false
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
