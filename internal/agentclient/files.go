package agentclient

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// Read implements workspace.Replica.
func (c *Client) Read(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	query, err := pathQuery(path)
	if err != nil {
		return nil, err
	}
	query.Set("maxFile", strconv.FormatInt(limit, 10))
	response, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/files/content", query: query})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	length := response.ContentLength
	if length > limit {
		return nil, fault.New(fault.TooLarge, "The file is larger than %d bytes.", limit)
	}
	sum, ok := agentproto.ParseSum(response.Header.Get(agentproto.SumHeader))
	if length < 0 || !ok {
		return nil, c.broken(ctx, errors.New("content without a length or a sum"))
	}
	// It grows as the bytes come: a length alone buys no memory.
	var content bytes.Buffer
	switch n, err := io.Copy(&content, io.LimitReader(response.Body, length+1)); {
	case errors.Is(err, io.ErrUnexpectedEOF) && !c.session.IsClosed() && ctx.Err() == nil:
		return nil, fault.Wrap(err, fault.Conflict, "The file changed while it was read.")
	case err != nil:
		return nil, c.lost(ctx, err)
	case n != length:
		return nil, c.broken(ctx, fmt.Errorf("%d bytes of content where %d were named", n, length))
	}
	if sha256.Sum256(content.Bytes()) != sum {
		return nil, c.broken(ctx, errors.New("content with another sum than the one named"))
	}
	return content.Bytes(), nil
}

// Put implements workspace.Replica.
func (c *Client) Put(ctx context.Context, path string, content []byte, executable bool, expect workspace.Expect) error {
	query, err := c.changeQuery(path, expect)
	if err != nil {
		return err
	}
	query.Set("executable", agentproto.Bit(executable))
	return c.ask(ctx, request{method: http.MethodPut, path: "/v1/files/content", query: query, body: bytes.NewReader(content),
		length: int64(len(content))}, nil)
}

// MakeFolder implements workspace.Replica.
func (c *Client) MakeFolder(ctx context.Context, path string) error {
	query, err := pathQuery(path)
	if err != nil {
		return err
	}
	return c.ask(ctx, request{method: http.MethodPost, path: "/v1/files/folder", query: query}, nil)
}

// MakeLink implements workspace.Replica.
func (c *Client) MakeLink(ctx context.Context, path, target string, expect workspace.Expect) error {
	query, err := c.changeQuery(path, expect)
	if err != nil {
		return err
	}
	query.Set("target", target)
	return c.ask(ctx, request{method: http.MethodPost, path: "/v1/files/link", query: query}, nil)
}

// Remove implements workspace.Replica. A folder that holds nothing but ignored names counts as empty.
func (c *Client) Remove(ctx context.Context, path string, expect workspace.Expect) error {
	query, err := c.changeQuery(path, expect)
	if err != nil {
		return err
	}
	query["ignore"] = c.opts.Ignore
	return c.ask(ctx, request{method: http.MethodDelete, path: "/v1/files/item", query: query}, nil)
}

func pathQuery(path string) (url.Values, error) {
	if err := workspace.ValidatePath(path); err != nil {
		return nil, err
	}
	return url.Values{"path": {path}}, nil
}

func (c *Client) changeQuery(path string, expect workspace.Expect) (url.Values, error) {
	query, err := pathQuery(path)
	if err != nil {
		return nil, err
	}
	agentproto.Expect{Kind: string(expect.Kind), Sum: expect.Sum, Executable: expect.Executable, Target: expect.Target, Any: expect.Any}.AddTo(query)
	query.Set("maxFile", strconv.FormatInt(c.opts.MaxFile, 10))
	return query, nil
}

// Load implements workspace.Replica.
func (c *Client) Load(ctx context.Context, next func() (workspace.Entry, io.Reader, error)) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	archive, body := io.Pipe()
	sent := make(chan error, 1)
	count := 0
	go func() {
		// Each write to the pipe is a chunk of the request, so that they must not be small.
		buffered := bufio.NewWriterSize(body, agentproto.MaxData)
		err := pack(buffered, next, &count)
		if err == nil {
			err = buffered.Flush()
		}
		body.CloseWithError(err)
		sent <- err
	}()
	var loaded agentproto.Loaded
	err := c.ask(ctx, request{method: http.MethodPost, path: "/v1/files/load", body: archive, length: -1}, &loaded)
	archive.CloseWithError(io.ErrClosedPipe) // ends the packing if the agent answered early
	if packErr := <-sent; packErr != nil && !errors.Is(packErr, io.ErrClosedPipe) {
		return packErr
	}
	if err != nil {
		return err
	}
	if loaded.Loaded != count {
		return c.broken(ctx, fmt.Errorf("%d items loaded of %d", loaded.Loaded, count))
	}
	return nil
}

// pack writes the items as a tar stream.
func pack(to io.Writer, next func() (workspace.Entry, io.Reader, error), count *int) error {
	archive := tar.NewWriter(to)
	for {
		entry, content, err := next()
		if errors.Is(err, io.EOF) {
			return archive.Close()
		}
		if err != nil {
			return err
		}
		if err := workspace.ValidatePath(entry.Path); err != nil {
			return err
		}
		header := tar.Header{Name: entry.Path, Mode: 0o644, Format: tar.FormatPAX}
		switch entry.Kind {
		case workspace.File:
			header.Typeflag, header.Size = tar.TypeReg, entry.Size
			if entry.Executable {
				header.Mode = 0o755
			}
		case workspace.Folder:
			header.Typeflag, header.Mode, header.Name = tar.TypeDir, 0o755, strings.TrimSuffix(entry.Path, "/")+"/"
		case workspace.Link:
			header.Typeflag, header.Linkname = tar.TypeSymlink, entry.Target
		default:
			return fault.New(fault.Invalid, "An item of an unknown kind cannot be loaded.")
		}
		if err := archive.WriteHeader(&header); err != nil {
			return err
		}
		if entry.Kind == workspace.File {
			if _, err := io.Copy(archive, content); err != nil {
				return err
			}
		}
		*count++
	}
}
