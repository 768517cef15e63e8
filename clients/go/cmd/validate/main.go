// Validate holds published records against a schema:
//
//	validate SCHEMA RECORDS
//
// Each line of RECORDS is {"key": …, "value": …}; a null value, a tombstone, has no schema.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A change may have 8 MiB, and its key some more (docs/topics.md).
const longestLine = 16 << 20

func main() {
	failed, err := validate(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func validate(schemaFile, recordsFile string) (failed int, err error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(schemaFile)
	if err != nil {
		return 0, err
	}
	records, err := os.Open(recordsFile)
	if err != nil {
		return 0, err
	}
	defer records.Close()
	lines := bufio.NewScanner(records)
	lines.Buffer(nil, longestLine)
	passed := 0
	for lines.Scan() {
		// This reader keeps every digit of a number.
		line, err := jsonschema.UnmarshalJSON(strings.NewReader(lines.Text()))
		if err != nil {
			return failed, err
		}
		value := line.(map[string]any)["value"]
		if value == nil || record(schema, value) == nil {
			passed++
			continue
		}
		failed++
		if failed == 1 {
			fmt.Printf("line %d: %v\n", passed+failed, record(schema, value))
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	return failed, lines.Err()
}

// record returns the first thing that is wrong, with a pointer to it.
func record(schema *jsonschema.Schema, value any) error {
	err := schema.Validate(value)
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	return fmt.Errorf("/%s: %v", strings.Join(invalid.InstanceLocation, "/"), invalid)
}
