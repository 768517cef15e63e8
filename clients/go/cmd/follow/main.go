// Follow prints the current factors of every application as lines of JSON, then each change until SIGTERM or SIGINT:
//
//	follow [--until-caught-up] [--deadline 60s]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"factor-consolidator/client"
)

const (
	wrong  = 2
	failed = 3
)

func main() {
	untilCaughtUp := flag.Bool("until-caught-up", false, "end when everything was read that is there now")
	deadline := flag.Float64("deadline", 60, "seconds in which some partition has to move")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := follow(ctx, time.Duration(*deadline*float64(time.Second)), *untilCaughtUp)
	if err == nil || ctx.Err() != nil {
		return
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.Is(err, consolidator.ErrSettings) || errors.Is(err, consolidator.ErrUnreadable) {
		os.Exit(wrong)
	}
	os.Exit(failed)
}

func follow(ctx context.Context, deadline time.Duration, untilCaughtUp bool) error {
	connection, err := consolidator.ConnectionFromEnvironment()
	if err != nil {
		return err
	}
	reader, err := consolidator.NewReader(connection, deadline, func(text string) { fmt.Fprintln(os.Stderr, text) })
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := reader.ReadSnapshot(ctx); err != nil {
		return err
	}
	if err := reader.CatchUp(ctx); err != nil {
		return err
	}
	lines := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(lines)
	encoder.SetEscapeHTML(false)
	for _, factors := range reader.Current() {
		if err := encoder.Encode(factors); err != nil {
			return err
		}
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "caught up")
	for !untilCaughtUp {
		updates, err := reader.Poll(ctx)
		if err != nil {
			return err
		}
		for _, update := range updates {
			if err := encoder.Encode(line(update)); err != nil {
				return err
			}
		}
		if err := lines.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func line(update consolidator.Update) any {
	if update.Factors != nil {
		return update.Factors
	}
	return struct {
		ApplicationID string `json:"application_id"`
		Erased        bool   `json:"erased"`
	}{update.ApplicationID, true}
}
