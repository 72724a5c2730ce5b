package admin

import (
	"cmp"
	"context"
	"slices"

	"callboard/transport/admin/adminv1"
)

// Setting is one value of the configuration, as GetConfig shows it.
type Setting struct {
	Key    string
	Value  string
	Source string // where the value is from: default, file:line, a variable of the environment, --flag
	Secret bool   // the value is not shown
}

// masked stands for a secret that is set.
const masked = "********"

// GetConfig implements adminv1.AdminServiceHandler.
func (s *Server) GetConfig(context.Context, *adminv1.GetConfigRequest) (*adminv1.GetConfigResponse, error) {
	response := &adminv1.GetConfigResponse{}
	if s.config.Settings == nil {
		return response, nil
	}
	settings := s.config.Settings()
	slices.SortFunc(settings, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
	for _, one := range settings {
		if one.Secret && one.Value != "" {
			one.Value = masked
		}
		response.Settings = append(response.Settings, &adminv1.Setting{Key: one.Key, Value: one.Value, Source: one.Source})
	}
	return response, nil
}
