package transport

import (
	"callboard/actors"
	"callboard/protocol"
)

var _ actors.Described = (*socket)(nil)

// Describe implements actors.Described.
func (s *socket) Describe() actors.ConnInfo {
	info := actors.ConnInfo{Remote: s.named, Protocol: protocol.SubprotocolJSON, Waiting: s.owed}
	if s.named == "" {
		info.Remote = s.nc.RemoteAddr().String()
	}
	if s.codec == protocol.Proto {
		info.Protocol = protocol.SubprotocolProto
	}
	if s.out != nil {
		info.Waiting += len(s.out.b)
	}
	return info
}
