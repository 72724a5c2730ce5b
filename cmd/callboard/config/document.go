package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// document is a YAML file, with the line that each key is in. It reads values as texts: what they
// mean is the setting's affair, so that a file, the environment and a flag are read alike.
type document struct {
	name   string
	lines  map[string]int // of each path, like admin.tokens.0.role
	faults FaultError
}

var _ koanf.Parser = (*document)(nil)

// maxFile bounds what is read, in bytes.
const maxFile = 1 << 20

// lineOf is where the YAML parser says its complaint is.
var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// Unmarshal implements koanf.Parser. FaultError of the content are in faults.
func (d *document) Unmarshal(b []byte) (map[string]any, error) {
	d.lines = make(map[string]int)
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	var root yaml.Node
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil, nil // an empty file
	}
	if err == nil {
		if err = decoder.Decode(new(yaml.Node)); err == nil {
			err = errors.New("yaml: a second document begins: put all settings into one, without ---")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		found := lineOf.FindStringSubmatch(err.Error())
		if found == nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		line, _ := strconv.Atoi(found[1]) // none: 0
		d.faults = append(d.faults, Fault{File: d.name, Line: line, Problem: "is no YAML here: " + found[2]})
		return nil, nil
	}
	return d.section(root.Content[0], ""), nil
}

// Marshal implements koanf.Parser.
func (d *document) Marshal(m map[string]any) ([]byte, error) { return yaml.Marshal(m) }

// section reads a mapping below the prefix, which is empty or ends with a dot.
func (d *document) section(node *yaml.Node, prefix string) map[string]any {
	found := make(map[string]any)
	node = resolved(node)
	if node.ShortTag() == "!!null" { // all below is commented out
		return found
	}
	if node.Kind != yaml.MappingNode {
		d.fault(node.Line, strings.TrimSuffix(prefix, "."), errors.New("is no section: give keys with their values, like listen: 127.0.0.1:8080"))
		return found
	}
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], resolved(node.Content[i+1])
		key := prefix + name.Value
		if first, twice := d.lines[key]; twice {
			d.fault(name.Line, key, fmt.Errorf("is given a second time, after line %d: remove one", first))
			continue
		}
		d.lines[key] = name.Line
		switch {
		case setting(key) != nil:
			if v := d.value(value, key); v != nil {
				found[name.Value] = v
			}
		case slices.ContainsFunc(settings(), func(s Setting) bool { return strings.HasPrefix(s.Key, key+".") }):
			found[name.Value] = d.section(value, key+".")
		default:
			d.fault(name.Line, key, unknown(key, keysOf(settings())))
		}
	}
	return found
}

// value reads what a key has.
func (d *document) value(node *yaml.Node, path string) any {
	if _, known := d.lines[path]; !known {
		d.lines[path] = node.Line
	}
	node = resolved(node)
	switch node.Kind {
	case yaml.ScalarNode:
		if node.ShortTag() == "!!null" {
			d.fault(node.Line, path, errors.New(`has no value: give one, "" for an empty one, or remove the key`))
			return nil
		}
		return node.Value
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for i, element := range node.Content {
			at := path + "." + strconv.Itoa(i)
			d.lines[at] = element.Line
			list = append(list, d.element(resolved(element), at))
		}
		return list
	default:
		d.fault(node.Line, path, fmt.Errorf("takes a %s, and no section", setting(path).word()))
		return nil
	}
}

// element reads an element of a list: a text, or an object of texts.
func (d *document) element(node *yaml.Node, at string) any {
	if node.Kind != yaml.MappingNode {
		return node.Value
	}
	object := make(map[string]any)
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], resolved(node.Content[i+1])
		d.lines[at+"."+name.Value] = name.Line
		if value.Kind != yaml.ScalarNode {
			d.fault(name.Line, at+"."+name.Value, errors.New("takes one value, and no list or section"))
			continue
		}
		object[name.Value] = value.Value
	}
	return object
}

// resolved follows a reference to an anchor.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func (d *document) fault(line int, key string, problem error) {
	d.faults = append(d.faults, Fault{File: d.name, Line: line, Key: key, Problem: problem.Error()})
}

// inline reads a list from the environment or a flag: YAML in [ ], or words with commas between.
func (s *Setting) inline(text string) (any, error) {
	if !s.isList() {
		return text, nil
	}
	if !s.isObjects() && !strings.HasPrefix(strings.TrimSpace(text), "[") {
		list := []any{}
		for word := range strings.SplitSeq(text, ",") {
			if word = strings.TrimSpace(word); word != "" {
				list = append(list, word)
			}
		}
		return list, nil
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil || root.Kind != yaml.DocumentNode || root.Content[0].Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("is no list: give it as YAML on one line, like %s", s.example())
	}
	d := &document{lines: make(map[string]int)}
	v := d.value(root.Content[0], s.Key)
	if len(d.faults) > 0 {
		return nil, errors.New(d.faults[0].Problem)
	}
	return v, nil
}

// example is a list on one line.
func (s *Setting) example() string {
	if !s.isObjects() {
		return "[a, b]"
	}
	return "[{" + strings.Join(keysOf(s.Items), ": ..., ") + ": ...}]"
}
