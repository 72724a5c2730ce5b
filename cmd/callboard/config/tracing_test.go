package config

import (
	"errors"
	"strings"
	"testing"
)

func TestCollectorAndItsHeadersAreChecked(t *testing.T) {
	for _, c := range []struct {
		args  []string
		fault string // in the words of the fault; empty: there is none
	}{
		{[]string{"--tracing-endpoint=http://127.0.0.1:4318"}, ""},
		{[]string{"--tracing-endpoint=https://otlp.example.org/otlp/v1/traces", "--tracing-headers=[authorization=Bearer s3cret==]"}, ""},
		{[]string{"--tracing-endpoint=http://localhost:4318", "--tracing-headers=[authorization=Bearer s3cret]"}, ""},
		{[]string{"--tracing-endpoint=http://otel:4318", "--insecure", "--tracing-headers=[x-key=s3cret]"}, ""},
		{[]string{"--tracing-endpoint=http://otel:4318", "--tracing-headers=[x-key=s3cret]"}, "in clear"},
		{[]string{"--tracing-endpoint=127.0.0.1:4318"}, "no URL"},
		{[]string{"--tracing-endpoint=grpc://127.0.0.1:4317"}, "no URL"},
		{[]string{"--tracing-endpoint=http://s3cret@127.0.0.1:4318"}, "no URL"},
		{[]string{"--tracing-endpoint=http:///v1/traces"}, "no URL"},
		{[]string{"--tracing-headers=[s3cret]"}, "name=value"},
		{[]string{"--tracing-headers=[\"x y=s3cret\"]"}, "name=value"},
		{[]string{"--tracing-headers=[\"x-key=s3cret\\nhost: other\"]"}, "x-key"},
		{[]string{"--tracing-sample=1.1"}, "0 to 1"},
		{[]string{"--tracing-sample=-0.1"}, "0 to 1"},
		{[]string{"--tracing-sample=NaN"}, "no number"},
		{[]string{"--tracing-rate=0"}, "1 to 1000000"},
	} {
		f := flags(t)
		err := f.Parse(c.args)
		if err == nil {
			_, err = Load(Sources{Flags: f})
		}
		switch {
		case c.fault == "" && err != nil:
			t.Errorf("%v: %v", c.args, err)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%v: %v; want %q", c.args, err, c.fault)
		}
		if faults, ok := errors.AsType[FaultError](err); ok && strings.Contains(faults.Error(), "s3cret") {
			t.Errorf("the fault tells the secret: %v", faults)
		}
	}
}
