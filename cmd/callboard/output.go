package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"callboard/protocol"
)

// format is how what a command found is shown: the value of --output.
type format string

const (
	asTable format = "table" // for people: it may change
	asJSON  format = "json"  // for programs: fields may be added, and none is changed
	asYAML  format = "yaml"  // the same, in YAML
)

var formats = []format{asTable, asJSON, asYAML}

var _ pflag.Value = (*format)(nil)

// Set implements pflag.Value.
func (f *format) Set(value string) error {
	if !slices.Contains(formats, format(value)) {
		return errors.New("give table, json or yaml")
	}
	*f = format(value)
	return nil
}

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }

// flags adds --output.
func (f *format) flags(cmd *cobra.Command) {
	*f = asTable
	cmd.Flags().VarP(f, "output", "o", "table for people, json or yaml for programs")
	_ = cmd.RegisterFlagCompletionFunc("output", // it fails for a flag that there is not
		cobra.FixedCompletions([]string{string(asTable), string(asJSON), string(asYAML)}, cobra.ShellCompDirectiveNoFileComp))
}

// write shows what encode gives as JSON, or what fill puts into a table. In a row of
// several each JSON object has a line and each YAML document its mark.
func (f *format) write(out io.Writer, several bool, encode func() ([]byte, error), fill func(*table)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("printing: %w", err)
		}
	}()
	if *f != asJSON && *f != asYAML {
		var t table
		fill(&t)
		return t.write(out)
	}
	found, err := encode()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	switch {
	case *f == asYAML:
		if found, err = yamlOf(found); err == nil {
			if several {
				text.WriteString("---\n")
			}
			text.Write(found)
		}
	case several:
		err = json.Compact(&text, found)
		text.WriteByte('\n')
	default:
		err = json.Indent(&text, found, "", "  ") // protojson's own spaces change from run to run
		text.WriteByte('\n')
	}
	if err == nil {
		_, err = out.Write(text.Bytes())
	}
	return err
}

// protoJSON is an answer of the admin API as JSON, with all its fields.
func protoJSON(answer proto.Message) func() ([]byte, error) {
	return func() ([]byte, error) {
		return protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(answer)
	}
}

// plainJSON is anything else as JSON.
func plainJSON(found any) func() ([]byte, error) {
	return func() ([]byte, error) { return json.Marshal(found) }
}

// appendFrame appends a message as JSON, which is its frame in the protocol, or as YAML.
func (f *format) appendFrame(b []byte, m protocol.Message) ([]byte, error) {
	if *f != asYAML {
		return append(protocol.AppendJSON(b, m), '\n'), nil
	}
	document, err := yamlOf(protocol.AppendJSON(nil, m))
	return append(append(b, "---\n"...), document...), err
}

// yamlOf is JSON as YAML, its fields in the same order. JSON is YAML already: only the
// style changes.
func yamlOf(found []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(spelled(found), &document); err != nil {
		return nil, err
	}
	plain(&document)
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := errors.Join(encoder.Encode(&document), encoder.Close())
	return text.Bytes(), err
}

// spelled is JSON with escapes for what may stand in a text of JSON, and is refused or
// taken for the end of a line in YAML. Others write what they like into messages.
func spelled(found []byte) []byte {
	var text bytes.Buffer
	for _, r := range string(found) {
		if r > '~' && r <= 0xffff && !unicode.IsPrint(r) {
			fmt.Fprintf(&text, `\u%04x`, r)
		} else {
			text.WriteRune(r)
		}
	}
	return text.Bytes()
}

// plain takes the style of JSON away. The tags stay: a string that looks like a number
// keeps its quotes.
func plain(node *yaml.Node) {
	node.Style = 0
	for _, below := range node.Content {
		plain(below)
	}
}
