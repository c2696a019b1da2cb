//go:build docker

package docker

// CloseIdle frees the connections to the daemon that nobody uses at the moment; they come and go.
func (d *Driver) CloseIdle() { _ = d.engine.Close() }
