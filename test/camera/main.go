// Command camera is an RTSP camera whose sessions begin with a key frame, for the judges: each
// PLAY begins with the key frame of the current second.
//
//	camera ADDRESS CLIP
//
// It plays a clip of package rtsptest at rtsp://ADDRESS/CLIP until a signal ends it, asks for no
// login, and writes "ready" to standard output.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/testkit/rtsptest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), cli.EndSignals()...)
	defer stop()
	if err := serve(ctx, os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "camera:", err)
		os.Exit(1) //nolint:gocritic // the signals need no cleanup
	}
}

func serve(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want two arguments, ADDRESS and CLIP, and not %d", len(args))
	}
	camera, err := rtsptest.Start(rtsptest.Options{Address: args[0], Name: args[1]})
	if err != nil {
		return err
	}
	defer camera.Close()
	fmt.Println("ready", camera.Addr()) //nolint:forbidigo // the caller waits for it
	<-ctx.Done()
	return nil
}
