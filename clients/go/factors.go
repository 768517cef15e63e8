package consolidator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// SchemaVersion is the newest version of the records that this package reads.
const SchemaVersion = 1

// ErrUnreadable says that a record cannot be read. It must not be skipped.
var ErrUnreadable = errors.New("unreadable")

// Pair is an application and one of its processors.
type Pair struct {
	ApplicationID string
	Processor     string
}

// Compare orders by the bytes of the application, then of the processor.
func (p Pair) Compare(other Pair) int {
	return cmp.Or(strings.Compare(p.ApplicationID, other.ApplicationID), strings.Compare(p.Processor, other.Processor))
}

// Version is where the causing event stands; versions of an application only ever rise.
type Version struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// After says whether a version is later than another.
func (v Version) After(other Version) bool {
	return cmp.Or(cmp.Compare(v.Partition, other.Partition), cmp.Compare(v.Offset, other.Offset)) > 0
}

// Factors are those of one processor of one application: what a record of factors says, and a record of factor-changes
// about the time after it. Members that a later version adds are ignored.
type Factors struct {
	ApplicationID string `json:"application_id"`
	Processor     string `json:"processor"`
	// Outcome is a text: a later version of the worker may publish one that this program does not know.
	Outcome string `json:"outcome"`
	// Factors is the whole set, empty where they were cleared. A value is a bool, a string or a json.Number, which has
	// every digit; package math/big and most decimal types read its text. A float64 would lose digits.
	Factors map[string]any `json:"factors"`
	Version Version        `json:"version"`
}

// Pair of the factors.
func (f Factors) Pair() Pair { return Pair{f.ApplicationID, f.Processor} }

// published is a record of either topic. A pointer is nil where the member is absent.
type published struct {
	SchemaVersion *int           `json:"schema_version"`
	ApplicationID string         `json:"application_id"`
	Processor     string         `json:"processor"`
	Outcome       string         `json:"outcome"`
	Factors       map[string]any `json:"factors"`
	Version       *struct {
		Partition *int32 `json:"partition"`
		Offset    *int64 `json:"offset"`
	} `json:"version"`
}

// DecodeFactors reads a value that is no tombstone.
func DecodeFactors(value []byte) (Factors, error) {
	var found published
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if err := decoder.Decode(&found); err != nil {
		return Factors{}, fmt.Errorf("%w: is not what a worker publishes", ErrUnreadable)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Factors{}, fmt.Errorf("%w: has more than one JSON value", ErrUnreadable)
	}
	version := found.Version
	switch {
	case found.SchemaVersion == nil:
		return Factors{}, fmt.Errorf("%w: has no schema_version", ErrUnreadable)
	case *found.SchemaVersion > SchemaVersion:
		return Factors{}, fmt.Errorf("%w: has schema_version %d, and this program reads %d: use a later one",
			ErrUnreadable, *found.SchemaVersion, SchemaVersion)
	case found.ApplicationID == "" || found.Processor == "" || found.Outcome == "":
		return Factors{}, fmt.Errorf("%w: has no application_id, processor or outcome", ErrUnreadable)
	case found.Factors == nil:
		return Factors{}, fmt.Errorf("%w: has no factors", ErrUnreadable)
	case version == nil || version.Partition == nil || version.Offset == nil:
		return Factors{}, fmt.Errorf("%w: has no version", ErrUnreadable)
	}
	place := Version{*version.Partition, *version.Offset}
	return Factors{found.ApplicationID, found.Processor, found.Outcome, found.Factors, place}, nil
}

// ParseKey takes a key apart: the application, and what stands behind it, which is the processor in factors and the
// change's id in factor-changes. Inside the application's id "%" and "/" are written "%25" and "%2F", so the first slash
// ends it.
func ParseKey(key []byte) (applicationID, rest string, err error) {
	escaped, rest, found := strings.Cut(string(key), "/")
	if !found || escaped == "" || rest == "" || !utf8.Valid(key) {
		return "", "", fmt.Errorf("%w: has a key that no worker writes", ErrUnreadable)
	}
	// In this order: "%252F" must not become a slash.
	return strings.ReplaceAll(strings.ReplaceAll(escaped, "%2F", "/"), "%25", "%"), rest, nil
}
