package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Sources are where values come from, the later over the earlier.
type Sources struct {
	File    string         // a YAML file; empty for none
	Environ []string       // as os.Environ has it
	Flags   *pflag.FlagSet // parsed, with what Flags has put into it; nil for none
}

// Loaded is a configuration with where each value comes from. Nobody changes it.
type Loaded struct {
	Config   Config
	Warnings []string // what is no fault and still not as somebody meant it

	origins map[string]origin // of those that are not the defaults
}

// origin is where a value comes from.
type origin struct {
	file string // or else
	name string // the variable or the flag
	line int
}

// String is what is shown of it.
func (o origin) String() string {
	switch {
	case o.file != "":
		return fmt.Sprintf("%s:%d", o.file, o.line)
	case o.name != "":
		return o.name
	}
	return "default"
}

// FileVariable names the file, where no flag does.
const FileVariable = envPrefix + "CONFIG"

// TokenVariable has the token of the commands that call the admin API.
const TokenVariable = envPrefix + "TOKEN"

// layer is what one source gives.
type layer struct {
	*koanf.Koanf
	origin func(s *Setting, path string) origin
}

// Load reads all sources. The error is FaultError if it is for who writes the configuration to mend.
func Load(from Sources) (*Loaded, error) {
	var faults FaultError
	file, document, err := readFile(from.File)
	if err != nil {
		return nil, err
	}
	faults = append(faults, document.faults...)
	loaded := &Loaded{origins: make(map[string]origin)}
	environment, err := loaded.environment(from.Environ, &faults)
	if err != nil {
		return nil, err
	}
	flags, err := flagLayer(from.Flags)
	if err != nil {
		return nil, err
	}
	merged := koanf.New(".")
	layers := []layer{
		{file, func(_ *Setting, path string) origin { return origin{file: document.name, line: document.line(path)} }},
		{environment, func(s *Setting, _ string) origin { return origin{name: s.Env} }},
		{flags, func(s *Setting, _ string) origin { return origin{name: "--" + s.Flag} }},
	}
	for _, l := range layers {
		if err := merged.Merge(l.Koanf); err != nil {
			return nil, fmt.Errorf("putting the configuration together: %w", err)
		}
	}
	all := settings()
	for i := range all {
		loaded.take(&all[i], merged, layers, &faults)
	}
	if len(faults) == 0 {
		faults = loaded.check()
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b Fault) int { return a.Line - b.Line })
		return nil, faults
	}
	return loaded, nil
}

// take puts the value of a setting into its field.
func (l *Loaded) take(s *Setting, merged *koanf.Koanf, layers []layer, faults *FaultError) {
	raw, given := s.fallback(), func(string) origin { return origin{} }
	for _, layer := range layers {
		if layer.Exists(s.Key) {
			given = func(path string) origin { return layer.origin(s, path) }
			raw, l.origins[s.Key] = merged.Get(s.Key), given(s.Key)
		}
	}
	s.of(&l.Config).Set(s.value(raw, func(path string, err error) {
		at := given(s.Key + path)
		fault := Fault{File: at.file, Line: at.line, Key: s.Key + path, Problem: err.Error()}
		if at.file == "" {
			fault.Key = at.name + path
		}
		*faults = append(*faults, fault)
	}))
}

// fallback is the default as a source would give it.
func (s *Setting) fallback() any {
	raw, err := s.inline(s.Default)
	if err != nil { // TestEverySettingIsDescribed
		panic(fmt.Sprintf("config: the default of %s: %v", s.Key, err))
	}
	return raw
}

// ErrNoFile says that the file is not there that was named.
var ErrNoFile = errors.New("there is no configuration")

func readFile(name string) (*koanf.Koanf, *document, error) {
	found, d := koanf.New("."), &document{name: name}
	if name == "" {
		return found, d, nil
	}
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w in %s: give the file's name with --config or in %s", ErrNoFile, name, FileVariable)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, nil, fmt.Errorf("the configuration %s has more than %d bytes: is it another file?", name, maxFile)
	}
	if err := found.Load(rawbytes.Provider(text), d); err != nil {
		return nil, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return found, d, nil
}

// line is where a path is, or what it is part of.
func (d *document) line(path string) int {
	for {
		if line, known := d.lines[path]; known {
			return line
		}
		end := strings.LastIndexByte(path, '.')
		if end < 0 {
			return 0
		}
		path = path[:end]
	}
}

// environment reads the variables that are settings, and warns of those that might have been
// meant to be.
func (l *Loaded) environment(variables []string, faults *FaultError) (*koanf.Koanf, error) {
	known := make(map[string]*Setting)
	names := []string{FileVariable, TokenVariable}
	for i := range settings() {
		s := &settings()[i]
		known[s.Env] = s
		names = append(names, s.Env)
	}
	found := koanf.New(".")
	err := found.Load(env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return variables },
		TransformFunc: func(name, text string) (string, any) {
			s := known[name]
			if s == nil {
				l.warn(name, names)
				return "", nil
			}
			raw, err := s.inline(text)
			if err != nil {
				*faults = append(*faults, Fault{Key: name, Problem: err.Error()})
				return "", nil
			}
			return s.Key, raw
		},
	}), nil)
	if err != nil {
		return nil, fmt.Errorf("reading the environment: %w", err)
	}
	return found, nil
}

// warn tells of a variable that is no setting. It may be somebody else's: Kubernetes gives those
// with PORT and SERVICE to all who run beside a service of the name callboard.
func (l *Loaded) warn(name string, known []string) {
	rest := strings.TrimPrefix(name, envPrefix)
	if slices.Contains(known, name) || strings.HasPrefix(rest, "PORT") || strings.HasPrefix(rest, "SERVICE_") {
		return
	}
	l.Warnings = append(l.Warnings, name+" "+unknown(name, known).Error())
}

// flagLayer has the flags that were given.
func flagLayer(flags *pflag.FlagSet) (*koanf.Koanf, error) {
	found := koanf.New(".")
	if flags == nil {
		return found, nil
	}
	err := found.Load(posflag.ProviderWithFlag(flags, ".", nil, func(f *pflag.Flag) (string, any) {
		v, ok := f.Value.(*flagValue)
		if !ok {
			return "", nil // a flag that is no setting
		}
		return v.setting.Key, v.raw
	}), nil)
	if err != nil {
		return nil, fmt.Errorf("reading the flags: %w", err)
	}
	return found, nil
}
