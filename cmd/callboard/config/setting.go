package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// Setting describes one field of Config.
type Setting struct {
	Key     string // in the file, with a dot between its parts
	Flag    string // without --
	Env     string // the variable of the environment
	Default string
	Unit    string
	Min     string
	Max     string
	OneOf   []string
	Reload  Reload
	Secret  bool
	Rare    bool
	Help    string
	Items   []Setting // of each element of a list of objects

	check string
	kind  reflect.Type
	index []int // of the field in Config
}

// Reload is what SIGHUP does with a new value of a setting.
type Reload int

// The three answers.
const (
	Restart Reload = iota // a new value takes a restart
	Live                  // it is taken
	LiveSet               // it is taken if it was given before and is given now
)

// String is the answer in words.
func (r Reload) String() string {
	return [...]string{"needs a restart", "taken", "taken; to add or remove it needs a restart"}[r]
}

const envPrefix = "CALLBOARD_"

// Settings are all settings, in the order of Config.
func Settings() []Setting { return settings() }

var settings = sync.OnceValue(func() []Setting { return fields(reflect.TypeFor[Config](), "", nil) })

// setting finds a setting by its key.
func setting(key string) *Setting {
	for i, s := range settings() {
		if s.Key == key {
			return &settings()[i]
		}
	}
	return nil
}

// fields describes the fields of a section.
func fields(section reflect.Type, prefix string, index []int) (found []Setting) {
	for i := range section.NumField() {
		field := section.Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("koanf"), ",")
		at := append(slices.Clip(index), i)
		switch {
		case option == "squash":
			found = append(found, fields(field.Type, prefix, at)...)
		case field.Type.Kind() == reflect.Struct:
			found = append(found, fields(field.Type, prefix+name+".", at)...)
		default:
			found = append(found, newSetting(&field, prefix+name, at))
		}
	}
	return found
}

func newSetting(field *reflect.StructField, key string, index []int) Setting {
	tag := field.Tag.Get
	s := Setting{
		Key: key, Flag: tag("flag"), Env: envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key)),
		Default: tag("default"), Unit: tag("unit"), Min: tag("min"), Max: tag("max"), OneOf: strings.Fields(tag("one")),
		Secret: tag("secret") == "yes", Rare: tag("rare") == "yes", Help: tag("help"),
		check: tag("check"), kind: field.Type, index: index,
	}
	if s.Flag == "" {
		s.Flag = strings.ReplaceAll(key, ".", "-")
	}
	switch tag("reload") {
	case "yes":
		s.Reload = Live
	case "set":
		s.Reload = LiveSet
	case "", "no":
	default: // TestEverySettingIsDescribed
		panic(fmt.Sprintf("config: the tag reload of %s is none of yes, set and no", key))
	}
	if s.isObjects() {
		s.Items = fields(field.Type.Elem(), "", nil)
	}
	return s
}

func (s *Setting) isList() bool { return s.kind.Kind() == reflect.Slice }

func (s *Setting) isObjects() bool { return s.isList() && s.kind.Elem().Kind() == reflect.Struct }

// word is what kind of value it takes.
func (s *Setting) word() string {
	switch {
	case s.isObjects():
		return "list of objects"
	case s.isList():
		return "list"
	case s.kind == reflect.TypeFor[time.Duration]():
		return "duration"
	case s.kind.Kind() == reflect.Float64:
		return "number"
	default:
		return s.kind.Kind().String()
	}
}

// of is the field in a configuration.
func (s *Setting) of(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(s.index) }
