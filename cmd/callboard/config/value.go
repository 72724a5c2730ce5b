package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scalar reads one value from its text, and checks it.
func (s *Setting) scalar(kind reflect.Type, text string) (reflect.Value, error) {
	v := reflect.New(kind).Elem()
	like := "" // for those who do not know what to give
	if s.Default != "" && !s.isList() {
		like = ", like " + s.Default
	}
	switch {
	case kind == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			return v, fmt.Errorf("%q is no time: give a number with its unit%s", text, like)
		}
		v.SetInt(int64(d))
	case kind.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return v, fmt.Errorf("%q: give true or false", text)
		}
		v.SetBool(b)
	case kind.Kind() == reflect.Int:
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil {
			return v, fmt.Errorf("%q is no whole number: give one%s", text, like)
		}
		v.SetInt(int64(n))
	case kind.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != f {
			return v, fmt.Errorf("%q is no number: give one%s", text, like)
		}
		v.SetFloat(f)
	default:
		v.SetString(text)
	}
	if problem := s.outOfBounds(v, like); problem != nil {
		return v, problem
	}
	if len(s.OneOf) > 0 && !slices.Contains(s.OneOf, text) {
		return v, fmt.Errorf("%q: give %s", text, alternatives(s.OneOf))
	}
	if s.check != "" {
		return v, checks[s.check](text)
	}
	return v, nil
}

// outOfBounds checks a number or a time. The bounds of a list are those of its length.
func (s *Setting) outOfBounds(v reflect.Value, like string) error {
	if s.isList() || s.Min == "" && s.Max == "" {
		return nil
	}
	value, _ := number(v.Interface())
	least, greatest := s.bound(s.Min, v.Type()), s.bound(s.Max, v.Type())
	switch {
	case s.Min != "" && value < least && s.Max != "", s.Max != "" && value > greatest && s.Min != "":
		return fmt.Errorf("is %v: give %s to %s%s", v, s.Min, s.Max, like)
	case s.Min != "" && value < least:
		return fmt.Errorf("is %v: give at least %s%s", v, s.Min, like)
	case s.Max != "" && value > greatest:
		return fmt.Errorf("is %v: give at most %s%s", v, s.Max, like)
	}
	return nil
}

// bound is a bound as a number; TestEverySettingIsDescribed holds the tags to it.
func (s *Setting) bound(text string, kind reflect.Type) float64 {
	if text == "" {
		return 0
	}
	if kind == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			panic(fmt.Sprintf("config: a bound of %s: %v", s.Key, err))
		}
		return float64(d)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("config: a bound of %s: %v", s.Key, err))
	}
	return f
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case float64:
		return n, true
	case time.Duration:
		return float64(n), true
	}
	return 0, false
}

// value reads what a source gave: a text, a list of them, or a list of objects. Each problem is
// told with the path below the key that it is at.
func (s *Setting) value(raw any, problem func(path string, err error)) reflect.Value {
	v := reflect.New(s.kind).Elem()
	if text, ok := raw.(string); ok && !s.isList() {
		found, err := s.scalar(s.kind, text)
		if err != nil {
			problem("", err)
			return v
		}
		return found
	}
	list, ok := raw.([]any)
	switch {
	case !s.isList():
		problem("", fmt.Errorf("takes one %s, and no list or section", s.word()))
		return v
	case !ok:
		problem("", fmt.Errorf("takes a %s: begin each element with -, or write it in [ ]", s.word()))
		return v
	case s.Max != "" && float64(len(list)) > s.bound(s.Max, reflect.TypeFor[int]()):
		problem("", fmt.Errorf("has %d elements: give at most %s", len(list), s.Max))
		return v
	}
	for i, raw := range list {
		at := "." + strconv.Itoa(i)
		text, isText := raw.(string)
		switch {
		case s.isObjects():
			v = reflect.Append(v, s.object(raw, at, problem))
		case !isText:
			problem(at, errors.New("takes a word for each element"))
		default:
			element, err := s.scalar(s.kind.Elem(), text)
			if err != nil {
				problem(at, err)
			}
			v = reflect.Append(v, element)
		}
	}
	return v
}

// object reads an element of a list of objects. All its keys must be given.
func (s *Setting) object(raw any, at string, problem func(string, error)) reflect.Value {
	v := reflect.New(s.kind.Elem()).Elem()
	given, ok := raw.(map[string]any)
	if !ok {
		problem(at, fmt.Errorf("takes an object with %s", strings.Join(keysOf(s.Items), ", ")))
		return v
	}
	for key := range given {
		if !slices.Contains(keysOf(s.Items), key) {
			problem(at+"."+key, unknown(key, keysOf(s.Items)))
		}
	}
	for i := range s.Items {
		item := &s.Items[i]
		raw, ok := given[item.Key]
		if !ok && item.Default == "" {
			problem(at, fmt.Errorf("has no %s: give %s", item.Key, item.Help))
			continue
		}
		if !ok {
			raw = item.Default
		}
		v.FieldByIndex(item.index).Set(item.value(raw, func(path string, err error) { problem(at+"."+item.Key+path, err) }))
	}
	return v
}

func keysOf(settings []Setting) (keys []string) {
	for i := range settings {
		keys = append(keys, settings[i].Key)
	}
	return keys
}

// alternatives is a, b or c.
func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
