package docker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"vivarium/internal/fault"
)

// connect returns a client of the daemon at the host. It asks it nothing yet.
func connect(host string) (*client.Client, error) {
	options := []client.Opt{client.FromEnv}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	engine, err := client.New(options...)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The address of Docker cannot be used. Set DOCKER_HOST to unix:///path or tcp://address:port, "+
			"with DOCKER_CERT_PATH for TLS; other forms need a tunnel to one of these.")
	}
	return engine, nil
}

// ask asks the daemon something, at most for the time given, and makes a fault of the error. What the daemon itself
// answered stays in the chain.
func ask[T any](ctx context.Context, limit time.Duration, question func(context.Context) (T, error)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := question(bounded)
	if err != nil {
		err = failure(ctx, err)
	}
	return answer, err
}

// do is ask for what has no answer.
func do(ctx context.Context, limit time.Duration, order func(context.Context) error) error {
	_, err := ask(ctx, limit, func(ctx context.Context) (struct{}, error) { return struct{}{}, order(ctx) })
	return err
}

// failure makes a fault of an error of the client. ctx is the caller's, without the limit of the call.
func failure(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.Wrap(errors.Join(ctx.Err(), err), fault.Timeout, "The work with Docker was given up.")
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(errors.Join(ctx.Err(), err), fault.Unavailable, "Docker does not answer. Check that its daemon runs and is not overloaded.")
	case fault.KindOf(err) != fault.Internal:
		return err
	case errdefs.IsNotFound(err):
		return fault.Wrap(err, fault.NotFound, "Docker does not have it.")
	case errdefs.IsConflict(err):
		return fault.Wrap(err, fault.Conflict, "Docker is busy with it.")
	case answered(err), strings.Contains(err.Error(), "unable to upgrade"): // the client tells no more of a refused stream
		return fault.Wrap(err, fault.Unavailable, "Docker could not do it. The server's log says why.")
	}
	return fault.Wrap(err, fault.Unavailable, "Docker cannot be reached. Check that its daemon runs and that DOCKER_HOST names it.")
}

// answered reports whether an error is the daemon's own word, and not the lack of one.
func answered(err error) bool {
	return errdefs.IsNotFound(err) || errdefs.IsConflict(err) || errdefs.IsInvalidArgument(err) || errdefs.IsPermissionDenied(err) ||
		errdefs.IsUnauthorized(err) || errdefs.IsNotImplemented(err) || errdefs.IsInternal(err) || errdefs.IsUnavailable(err) || errdefs.IsUnknown(err)
}
