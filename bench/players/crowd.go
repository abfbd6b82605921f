package players

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Command is the first argument that makes the bench's program a crowd of players.
const Command = "players"

// Plan says what a crowd plays.
type Plan struct {
	Address string   `json:"address"`
	Login   Login    `json:"login"`
	Paths   []string `json:"paths"` // one player each
	Opening int      `json:"opening"`
	Within  int      `json:"within"` // seconds for each player's first picture
}

// Started is how the players began.
type Started struct {
	Playing int    `json:"playing"`
	Error   string `json:"error,omitempty"` // the first
}

// Counted is what the players got between begin and end.
type Counted struct {
	Playing  int     `json:"playing"`  // players whose stream has not ended
	Pictures int     `json:"pictures"` // of all players
	Least    int     `json:"least"`    // of the player with the fewest
	Bytes    int64   `json:"bytes"`
	Missing  int     `json:"missing"` // pictures whose numbers were left out
	P50      float64 `json:"p50_ms"`  // from the camera's write until the last byte
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
}

// Main runs a crowd. The first line of commands is a Plan; Main answers with Started when
// each player has a picture or has failed. After that, "begin" starts to count, and "end" is
// answered with Counted. Main returns when commands end, after it has closed all players.
func Main(ctx context.Context, commands io.Reader, stdout io.Writer) error {
	lines := bufio.NewScanner(commands)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return errors.Join(errors.New("no plan"), lines.Err())
	}
	var plan Plan
	if err := json.Unmarshal(lines.Bytes(), &plan); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &crowd{}
	defer c.playing.Wait()
	defer cancel()
	answers := json.NewEncoder(stdout)
	if err := answers.Encode(c.start(ctx, plan)); err != nil {
		return err
	}
	for lines.Scan() {
		switch lines.Text() {
		case "begin":
			c.begin()
		case "end":
			if err := answers.Encode(c.end()); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown command %.20q", lines.Text())
		}
	}
	return lines.Err()
}

// crowd holds all players.
type crowd struct {
	counting atomic.Bool
	playing  sync.WaitGroup
	players  []*counter
}

// counter counts the pictures of one player.
type counter struct {
	mu       sync.Mutex
	ended    bool
	last     uint32 // the newest picture's number
	pictures int
	bytes    int64
	missing  int
	delays   []time.Duration
}

// start starts the players, some at a time.
func (c *crowd) start(ctx context.Context, plan Plan) Started {
	places := make(chan struct{}, max(plan.Opening, 1))
	errs := make(chan error, len(plan.Paths))
	for _, path := range plan.Paths {
		places <- struct{}{}
		one := &counter{}
		c.players = append(c.players, one)
		c.playing.Go(func() {
			p, first, err := c.open(ctx, plan, path)
			<-places
			errs <- err
			if err != nil {
				one.end()
				return
			}
			one.last = first.Number
			c.count(ctx, p, one)
		})
	}
	var s Started
	for range plan.Paths {
		switch err := <-errs; {
		case err == nil:
			s.Playing++
		case s.Error == "":
			s.Error = err.Error()
		}
	}
	return s
}

// open starts a player and waits for its first picture.
func (c *crowd) open(ctx context.Context, plan Plan, path string) (*Player, Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(plan.Within)*time.Second)
	defer cancel()
	p, err := Play(ctx, plan.Address, path, plan.Login)
	if err != nil {
		return nil, Picture{}, err
	}
	stop := context.AfterFunc(ctx, p.Close)
	defer stop()
	first, err := p.Next()
	if err != nil {
		p.Close()
		return nil, Picture{}, fmt.Errorf("first picture: %w", err)
	}
	return p, first, nil
}

// count reads pictures until the stream or ctx ends.
func (c *crowd) count(ctx context.Context, p *Player, one *counter) {
	defer context.AfterFunc(ctx, p.Close)()
	defer p.Close()
	for {
		picture, err := p.Next()
		if err != nil {
			one.end()
			return
		}
		one.add(picture, c.counting.Load())
	}
}

func (o *counter) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
}

// add counts a picture. A number that is not above the last begins a new session of the
// camera.
func (o *counter) add(p Picture, counting bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	gap := int(p.Number) - int(o.last) - 1
	o.last = p.Number
	if !counting {
		return
	}
	o.pictures++
	o.bytes += int64(p.Bytes)
	if p.Marked {
		o.missing += max(gap, 0)
		o.delays = append(o.delays, p.Arrived.Sub(p.Sent))
	}
}

func (c *crowd) begin() {
	for _, o := range c.players {
		o.mu.Lock()
		o.pictures, o.bytes, o.missing, o.delays = 0, 0, 0, nil
		o.mu.Unlock()
	}
	c.counting.Store(true)
}

func (c *crowd) end() Counted {
	c.counting.Store(false)
	var all Counted
	var delays []time.Duration
	for i, o := range c.players {
		o.mu.Lock()
		if !o.ended {
			all.Playing++
		}
		if i == 0 || o.pictures < all.Least {
			all.Least = o.pictures
		}
		all.Pictures += o.pictures
		all.Bytes += o.bytes
		all.Missing += o.missing
		delays = append(delays, o.delays...)
		o.mu.Unlock()
	}
	if len(delays) == 0 {
		return all
	}
	slices.Sort(delays)
	at := func(q float64) float64 {
		return float64(delays[int(q*float64(len(delays)-1))]) / float64(time.Millisecond)
	}
	all.P50, all.P99, all.Max = at(0.5), at(0.99), at(1)
	return all
}
