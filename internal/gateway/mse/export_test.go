package mse

import "time"

// SetStall sets how long a viewer may take to read.
func (o *Output) SetStall(d time.Duration) { o.stall = d }
