package consolidator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrStalled says that no partition moved until the deadline.
var ErrStalled = errors.New("stalled")

const (
	pollLimit = 200 * time.Millisecond
	quiet     = time.Second
)

// Reader has the current factors of every application: a snapshot, then what changes, without a gap between the two.
//
// A worker writes factors and factor-changes in one transaction, but Kafka ends a transaction partition by partition. So
// the order of the steps in ReadSnapshot matters. Not safe for use by several goroutines.
type Reader struct {
	connection Connection
	deadline   time.Duration
	onWaiting  func(string)
	client     *kgo.Client
	admin      *kadm.Client
	current    map[Pair]Factors
	// positions of what is read at present: by topic and partition, the next offset.
	positions map[string]map[int32]int64
}

// Update is what a record came to. Factors is nil where the application was erased.
type Update struct {
	ApplicationID string
	Factors       *Factors
}

// NewReader connects. A wait ends with ErrStalled when nothing moved for the deadline; onWaiting is given a sentence about
// what is waited for before that.
func NewReader(connection Connection, deadline time.Duration, onWaiting func(string)) (*Reader, error) {
	client, err := kgo.NewClient(append(slices.Clone(connection.options),
		// The library's default is to read uncommitted: records of transactions that are then aborted.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// A position that Kafka no longer has is an error. The default jumps to a position that it has, past changes.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// Markers move the position. Aborted records are not returned, but the marker behind them is.
		kgo.KeepControlRecords(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSettings, err)
	}
	return &Reader{
		connection: connection,
		deadline:   deadline,
		onWaiting:  onWaiting,
		client:     client,
		admin:      kadm.NewClient(client),
		current:    map[Pair]Factors{},
	}, nil
}

// Close leaves Kafka.
func (r *Reader) Close() { r.client.Close() }

// Current returns the factors as far as they were read, by application and processor.
func (r *Reader) Current() []Factors {
	pairs := slices.SortedFunc(maps.Keys(r.current), Pair.Compare)
	found := make([]Factors, 0, len(pairs))
	for _, pair := range pairs {
		found = append(found, r.current[pair])
	}
	return found
}

// ReadSnapshot reads factors as it is, and goes to where factor-changes has to be read on.
func (r *Reader) ReadSnapshot(ctx context.Context) error {
	factors, changes := r.connection.FactorsTopic(), r.connection.ChangesTopic()
	// 1. The last stable offset of the journal. What lies below it is committed, so its record of factors was written
	//    before; what lies above it will be read in the tail. The high watermark would lose a change whose transaction is
	//    still open.
	stable, err := offsets(ctx, changes, r.admin.ListCommittedOffsets)
	if err != nil {
		return err
	}
	// 2. Only after all of these answers: the high watermark of factors. The stable offset would lose a record whose marker
	//    has not arrived yet although the journal's has.
	ends, err := offsets(ctx, factors, r.admin.ListEndOffsets)
	if err != nil {
		return err
	}
	starts, err := offsets(ctx, factors, r.admin.ListStartOffsets)
	if err != nil {
		return err
	}
	// 3. Read up to it, only what is committed.
	r.seek(factors, starts)
	if err := r.readTo(ctx, factors, ends, r.applySnapshot); err != nil {
		return err
	}
	r.seek(changes, stable)
	return nil
}

// CatchUp applies the journal up to where it ends now, open transactions included.
func (r *Reader) CatchUp(ctx context.Context) error {
	changes := r.connection.ChangesTopic()
	ends, err := offsets(ctx, changes, r.admin.ListEndOffsets)
	if err != nil {
		return err
	}
	return r.readTo(ctx, changes, ends, func(record *kgo.Record) error {
		_, err := r.applyChange(record)
		return err
	})
}

// Poll waits a moment for changes and applies them. It returns each change, and each erasure, that made a difference.
func (r *Reader) Poll(ctx context.Context) ([]Update, error) {
	var updates []Update
	err := r.poll(ctx, func(record *kgo.Record) error {
		update, err := r.applyChange(record)
		if update != nil {
			updates = append(updates, *update)
		}
		return err
	})
	return updates, err
}

func (r *Reader) applySnapshot(record *kgo.Record) error {
	applicationID, processor, err := ParseKey(record.Key)
	if err != nil {
		return err
	}
	if record.Value == nil {
		delete(r.current, Pair{applicationID, processor})
		return nil
	}
	found, err := DecodeFactors(record.Value)
	if err == nil {
		r.current[found.Pair()] = found
	}
	return err
}

func (r *Reader) applyChange(record *kgo.Record) (*Update, error) {
	applicationID, _, err := ParseKey(record.Key)
	if err != nil {
		return nil, err
	}
	if record.Value == nil {
		// A tombstone is an erasure of the whole application. Cleared factors are a record.
		known := len(r.current)
		maps.DeleteFunc(r.current, func(pair Pair, _ Factors) bool { return pair.ApplicationID == applicationID })
		if len(r.current) == known {
			return nil, nil
		}
		return &Update{applicationID, nil}, nil
	}
	change, err := DecodeFactors(record.Value)
	if err != nil {
		return nil, err
	}
	if known, found := r.current[change.Pair()]; found && !change.Version.After(known.Version) {
		return nil, nil
	}
	r.current[change.Pair()] = change
	return &Update{applicationID, &change}, nil
}

// seek replaces what is read.
func (r *Reader) seek(topic string, positions map[int32]int64) {
	for before, partitions := range r.positions {
		r.client.RemoveConsumePartitions(map[string][]int32{before: slices.Collect(maps.Keys(partitions))})
	}
	wanted := map[int32]kgo.Offset{}
	for partition, offset := range positions {
		wanted[partition] = kgo.NewOffset().At(offset)
	}
	r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: wanted})
	r.positions = map[string]map[int32]int64{topic: maps.Clone(positions)}
}

// readTo reads until each position has reached its end. Positions decide, as no record may stand there: markers and
// aborted records move only the position.
func (r *Reader) readTo(ctx context.Context, topic string, ends map[int32]int64, apply func(*kgo.Record) error) error {
	var before map[int32]int64
	moved, reported := time.Now(), time.Now()
	for {
		var behind []int32
		for _, partition := range slices.Sorted(maps.Keys(ends)) {
			if r.positions[topic][partition] < ends[partition] {
				behind = append(behind, partition)
			}
		}
		if len(behind) == 0 {
			return nil
		}
		still := time.Since(moved)
		switch {
		case !maps.Equal(before, r.positions[topic]):
			before, moved = maps.Clone(r.positions[topic]), time.Now()
		case still > r.deadline:
			return fmt.Errorf("%w: nothing moved for %v: %s", ErrStalled, r.deadline, r.waitedFor(ctx, topic, behind[0], ends))
		case still > quiet && time.Since(reported) > quiet:
			reported = time.Now()
			r.onWaiting("waiting: " + r.waitedFor(ctx, topic, behind[0], ends))
		}
		if err := r.poll(ctx, apply); err != nil {
			return err
		}
	}
}

// waitedFor names what holds a partition back: a consumer learns nothing about it from Kafka.
func (r *Reader) waitedFor(ctx context.Context, topic string, partition int32, ends map[int32]int64) string {
	stable, err := offsets(ctx, topic, r.admin.ListCommittedOffsets)
	if err != nil {
		return err.Error()
	}
	found := fmt.Sprintf("%s partition %d has the stable offset %d and is read to %d",
		topic, partition, stable[partition], ends[partition])
	if stable[partition] < ends[partition] {
		return fmt.Sprintf("%s: a transaction before %d is open", found, ends[partition])
	}
	return fmt.Sprintf("%s: only %d is read so far", found, r.positions[topic][partition])
}

// poll applies what there is. An error names the place of a record that cannot be read, and never its content.
func (r *Reader) poll(ctx context.Context, apply func(*kgo.Record) error) error {
	limited, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	fetches := r.client.PollFetches(limited)
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			return fmt.Errorf("%s partition %d: %w", failed.Topic, failed.Partition, failed.Err)
		}
	}
	for _, record := range fetches.Records() {
		if !record.Attrs.IsControl() {
			if err := apply(record); err != nil {
				return fmt.Errorf("%s partition %d offset %d: %w", record.Topic, record.Partition, record.Offset, err)
			}
		}
		if partitions, reading := r.positions[record.Topic]; reading {
			partitions[record.Partition] = record.Offset + 1
		}
	}
	return nil
}

type listing func(context.Context, ...string) (kadm.ListedOffsets, error)

// offsets asks for one of every partition. One that is absent or negative is no answer.
func offsets(ctx context.Context, topic string, list listing) (map[int32]int64, error) {
	listed, err := list(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", topic, err)
	}
	found := map[int32]int64{}
	for partition, one := range listed[topic] {
		if one.Offset < 0 {
			return nil, fmt.Errorf("no offset of %s partition %d", topic, partition)
		}
		found[partition] = one.Offset
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no partition", topic)
	}
	return found, nil
}
