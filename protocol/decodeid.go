package protocol

// userID is the user id in f, a string or a number; empty if there is none. It
// is old itself, if old is that id.
func (d *decoder) userID(f field, old string) string {
	switch v := &d.values[f]; v.shape {
	case shapeNumber:
		return d.numericID(f, old, CodeInvalidUserID)
	case shapeString:
		return d.stringUserID(f, d.inside(v), old)
	case shapeEscaped:
		var buffer [MaxUserIDBytes]byte
		return d.stringUserID(f, short(buffer[:0], d.inside(v)), old)
	case shapeBytes:
		if !d.utf8(f) {
			return ""
		}
		return d.stringUserID(f, d.bytes(v), old)
	}
	d.wrongShape(f, "a string or a number")
	return ""
}

func (d *decoder) stringUserID(f field, id []byte, old string) string {
	if fault := userIDFault(id); fault != "" {
		d.refuse(CodeInvalidUserID, f, fault)
		return ""
	}
	return keep(old, id)
}

// messageID is the message's id, a string or a number; empty if there is none.
// It is old itself, if old is that id.
func (d *decoder) messageID(old string) string {
	switch v := &d.values[fieldID]; v.shape {
	case shapeNumber:
		return d.numericID(fieldID, old, CodeInvalidMessage)
	case shapeString:
		return d.stringMessageID(d.inside(v), old)
	case shapeEscaped:
		var buffer [MaxMessageIDBytes]byte
		return d.stringMessageID(short(buffer[:0], d.inside(v)), old)
	case shapeBytes:
		if !d.utf8(fieldID) {
			return ""
		}
		return d.stringMessageID(d.bytes(v), old)
	}
	d.wrongShape(fieldID, "a string or a number")
	return ""
}

func (d *decoder) stringMessageID(id []byte, old string) string {
	if fault := messageIDFault(id); fault != "" {
		d.refuse(CodeInvalidMessage, fieldID, fault)
		return ""
	}
	return keep(old, id)
}

// device is the name in the field device; empty if there is none.
func (d *decoder) device() string {
	var name []byte
	var buffer [MaxDeviceBytes]byte
	switch v := &d.values[fieldDevice]; v.shape {
	case shapeString:
		name = d.inside(v)
	case shapeEscaped:
		name = short(buffer[:0], d.inside(v))
	case shapeBytes:
		if !d.utf8(fieldDevice) {
			return ""
		}
		name = d.bytes(v)
	default:
		d.wrongShape(fieldDevice, "a string")
	}
	if fault := deviceFault(name); fault != "" {
		d.refuse(CodeInvalidMessage, fieldDevice, fault)
		return ""
	}
	return string(name)
}

// numericID is the id in f, which is a number. One that is no uint64 is refused
// with the given code.
func (d *decoder) numericID(f field, old string, code ErrorCode) string {
	id := d.bytes(&d.values[f])
	if _, ok := parseUint64(id); !ok {
		d.refuse(code, f, notUint64)
		return ""
	}
	return keep(old, id)
}

// short is what the string s stands for, in buffer if that has the room for it. A
// longer one stays as it is, and is too long for whoever looks at it.
func short(buffer, s []byte) []byte {
	if unescapedLen(s) <= cap(buffer) {
		return appendUnescaped(buffer, s)
	}
	return s
}

// keep is the text b as a string: old itself if that is what it says.
func keep(old string, b []byte) string {
	if old == string(b) {
		return old
	}
	return string(b)
}
