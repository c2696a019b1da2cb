package session

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// batchBytes bounds the content that a round holds in memory at once, one file apart.
const batchBytes = 8 << 20

// batchItems bounds how many changes go into one transaction, so that others may save in between.
const batchItems = 500

// load fills a new sandbox with the stored files and remembers them as the base.
func (s *syncer) load(ctx context.Context) error {
	s.subscribe()
	files, ws := s.live.service.cfg.Files, s.live.workspace
	items, err := files.StoredAt(ctx, ws, nil)
	if err != nil {
		return err
	}
	items = slices.DeleteFunc(items, func(i workspace.Item) bool { return workspace.Ignored(i.Path) })
	next := 0
	agent, err := s.live.connected(ctx)
	if err != nil {
		return err
	}
	err = agent.Load(ctx, func() (workspace.Entry, io.Reader, error) {
		if next == len(items) {
			return workspace.Entry{}, nil, io.EOF
		}
		item := items[next]
		next++
		entry := workspace.Entry{Path: item.Path, Kind: item.Kind, Executable: item.Executable, Size: item.Size, Target: item.Target}
		if item.Kind != workspace.File {
			return entry, nil, nil
		}
		content, err := files.Content(ctx, ws, item.Hash)
		if err != nil {
			return workspace.Entry{}, nil, err
		}
		return entry, bytes.NewReader(content), nil
	})
	if err != nil {
		return err
	}
	base := make([]workspace.BaseChange, 0, len(items))
	for _, item := range items {
		base = append(base, baseOf(item.Path, item.Kind, item.Executable, item.Hash, item.Target))
	}
	return files.SetBase(ctx, s.live.sessionID(), base)
}

// resume goes on with a sandbox that was loaded by an earlier server.
func (s *syncer) resume() {
	s.subscribe()
	s.everything()
}

func baseOf(path string, kind workspace.Kind, executable bool, hash workspace.Hash, target string) workspace.BaseChange {
	return workspace.BaseChange{BaseItem: workspace.BaseItem{Path: path, Kind: kind, Executable: executable, Hash: hash, Target: target}}
}

func forget(path string) workspace.BaseChange {
	return workspace.BaseChange{BaseItem: workspace.BaseItem{Path: path}, Forget: true}
}

// round is one comparison and what followed from it.
type round struct {
	*syncer
	agent   Agent
	files   *workspace.Service
	by      workspace.Author
	session uuid.UUID
	base    []workspace.BaseChange
	again   scope // what changed under our hands and must be looked at again
}

// round compares both sides within the scope and brings them together. What it returns must be looked at again, because
// it changed in between.
func (s *syncer) round(ctx context.Context, sc scope) (scope, error) {
	if sc.empty() {
		return scope{}, nil
	}
	agent, err := s.live.connected(ctx)
	if err != nil {
		return sc, err
	}
	one := s.live.current()
	r := &round{syncer: s, agent: agent, files: s.live.service.cfg.Files, session: one.ID,
		by: workspace.Author{UserID: one.StartedBy, SessionID: one.ID}}
	theirs, err := r.scan(ctx, sc)
	if err != nil {
		return sc, err
	}
	ours, err := r.files.StoredAt(ctx, s.live.workspace, sc.list())
	if err != nil {
		return sc, err
	}
	base, err := r.files.Base(ctx, r.session, sc.list())
	if err != nil {
		return sc, err
	}
	actions := workspace.Plan(base, ours, theirs, time.Now())
	notSaved := map[string]NotSaved{}
	for _, seen := range theirs {
		if seen.Problem != "" {
			notSaved[seen.Path] = NotSaved{Path: seen.Path, Reason: seen.Problem, Size: seen.Size}
		}
	}
	conflicts, err := r.carryOut(ctx, actions, notSaved)
	if setErr := r.setBase(ctx); err == nil {
		err = setErr
	}
	s.publish(sc, notSaved, conflicts)
	return r.again, err
}

// scan asks the sandbox for its entries within the scope.
func (r *round) scan(ctx context.Context, sc scope) ([]workspace.Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	entries, err := r.agent.Scan(ctx, sc.list())
	if err != nil {
		return nil, err
	}
	seen := make([]workspace.Seen, 0, len(entries))
	for _, e := range entries {
		one := workspace.Seen{Entry: e}
		if e.Problem == "" && e.Kind == workspace.File {
			one.Hash = r.files.HashOf(e.Sum)
		}
		seen = append(seen, one)
	}
	return seen, nil
}

// carryOut does the actions: first what keeps the losers of conflicts, then removals with the deepest first, then what is
// made. What the store refuses for its limits is put into notSaved.
func (r *round) carryOut(ctx context.Context, actions []workspace.Action, notSaved map[string]NotSaved) ([]Conflict, error) {
	conflicts, actions, err := r.keepLosers(ctx, actions)
	if err != nil {
		return conflicts, err
	}
	if actions, err = r.confirmRemovals(ctx, actions); err != nil {
		return conflicts, err
	}
	for _, a := range actions {
		if a.Op == workspace.Agree {
			if a.Ours == nil {
				r.base = append(r.base, forget(a.Path))
			} else {
				r.base = append(r.base, baseOf(a.Path, a.Ours.Kind, a.Ours.Executable, a.Ours.Hash, a.Ours.Target))
			}
		}
	}
	if err := r.pull(ctx, actions, notSaved); err != nil {
		return conflicts, err
	}
	return conflicts, r.push(ctx, actions, notSaved)
}

// keepLosers stores the conflict copies, and returns the actions that are left to do.
func (r *round) keepLosers(ctx context.Context, actions []workspace.Action) ([]Conflict, []workspace.Action, error) {
	var conflicts []Conflict
	var left []workspace.Action
	for _, a := range actions {
		switch a.Op {
		case workspace.CopyTheirs:
			change, err := r.readTheirs(ctx, a)
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) || fault.Is(err, fault.TooLarge) {
				r.lookAgain(a.Path)
				continue
			}
			if err != nil {
				return conflicts, nil, err
			}
			change.Path, change.IfVersion = a.CopyTo, 0
			if _, err := r.files.ApplySynced(ctx, r.live.workspace, r.by, []workspace.SyncedChange{change}); err != nil {
				return conflicts, nil, err
			}
			// The store has the sandbox's version now: from here on it is one that the store's follows.
			r.base = append(r.base, baseOf(a.Path, change.Kind, change.Executable, change.Hash, change.Target))
			if err := r.setBase(ctx); err != nil {
				return conflicts, nil, err
			}
			a.Op = workspace.Push
		case workspace.MoveOurs:
			move := workspace.Change{Path: a.Path, IfVersion: a.Ours.Version, MoveTo: a.CopyTo}
			if _, err := r.files.ApplySynced(ctx, r.live.workspace, r.by, []workspace.SyncedChange{{Change: move}}); err != nil {
				return conflicts, nil, err
			}
			a.Op, a.Ours = workspace.Pull, nil
		default:
			left = append(left, a)
			continue
		}
		r.lookAgain(a.CopyTo) // the copy goes into the sandbox in the next round
		conflicts = append(conflicts, Conflict{Path: a.Path, Copy: a.CopyTo})
		left = append(left, a)
	}
	return conflicts, left, nil
}

// confirmRemovals looks a second time at what a scan did not find, before it is removed from the store.
func (r *round) confirmRemovals(ctx context.Context, actions []workspace.Action) ([]workspace.Action, error) {
	var gone []string
	for _, a := range actions {
		if a.Op == workspace.Pull && a.Theirs == nil {
			gone = append(gone, a.Path)
		}
	}
	if len(gone) == 0 {
		return actions, nil
	}
	set := map[string]struct{}{}
	for _, p := range gone {
		set[p] = struct{}{}
	}
	back, err := r.scan(ctx, scope{paths: outermost(set)})
	if err != nil {
		return nil, err
	}
	if len(back) == 0 {
		return actions, nil
	}
	// Something came back in between: leave the removals to the next round, which sees a newer picture.
	for _, seen := range back {
		r.lookAgain(seen.Path)
	}
	return slices.DeleteFunc(actions, func(a workspace.Action) bool {
		if a.Op == workspace.Pull && a.Theirs == nil {
			r.lookAgain(a.Path)
			return true
		}
		return false
	}), nil
}

// pull stores what the sandbox changed.
func (r *round) pull(ctx context.Context, actions []workspace.Action, notSaved map[string]NotSaved) error {
	var batch []workspace.SyncedChange
	var base []workspace.BaseChange
	bytes := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := r.store(ctx, batch, base, notSaved)
		batch, base, bytes = nil, nil, 0
		return err
	}
	add := func(change workspace.SyncedChange, b workspace.BaseChange) error {
		batch, base, bytes = append(batch, change), append(base, b), bytes+len(change.Content)
		if bytes >= batchBytes || len(batch) >= batchItems {
			return flush()
		}
		return nil
	}
	for _, a := range slices.Backward(actions) {
		if a.Op != workspace.Pull || a.Ours == nil || a.Theirs != nil && (a.Theirs.Kind == workspace.Folder) == (a.Ours.Kind == workspace.Folder) {
			continue
		}
		remove := workspace.Change{Path: a.Path, IfVersion: a.Ours.Version, Remove: true, OnlyEmpty: true}
		if err := add(workspace.SyncedChange{Change: remove}, forget(a.Path)); err != nil {
			return err
		}
	}
	for _, a := range actions {
		if a.Op != workspace.Pull || a.Theirs == nil {
			continue
		}
		change, err := r.readTheirs(ctx, a)
		switch {
		case fault.Is(err, fault.NotFound), fault.Is(err, fault.Conflict):
			r.lookAgain(a.Path)
			continue
		case fault.Is(err, fault.TooLarge):
			notSaved[a.Path] = NotSaved{Path: a.Path, Reason: fault.MessageOf(err), Size: a.Theirs.Size}
			continue
		case err != nil:
			return err
		}
		change.Path = a.Path
		if a.Ours != nil && (a.Ours.Kind == workspace.Folder) == (a.Theirs.Kind == workspace.Folder) {
			change.IfVersion = a.Ours.Version
		}
		r.cool[a.Path] = time.Now().Add(cooldown)
		b := baseOf(a.Path, change.Kind, change.Executable, change.Hash, change.Target)
		if err := add(change, b); err != nil {
			return err
		}
	}
	return flush()
}

// store applies a batch. When a limit of the workspace is in the way, the changes are tried one by one, so that one that
// does not fit keeps none of the others back.
func (r *round) store(ctx context.Context, batch []workspace.SyncedChange, base []workspace.BaseChange, notSaved map[string]NotSaved) error {
	applied, err := r.files.ApplySynced(ctx, r.live.workspace, r.by, batch)
	switch {
	case err == nil:
		r.base = append(r.base, base...)
		for _, one := range applied {
			// Folders that the store made on the way are in the sandbox too, or the change could not have been there.
			if one.Item != nil && one.Item.Kind == workspace.Folder {
				r.base = append(r.base, baseOf(one.Item.Path, workspace.Folder, false, workspace.Hash{}, ""))
			}
		}
		return r.setBase(ctx)
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound):
		// Somebody saved in between: the next round sees it.
		for _, change := range batch {
			r.lookAgain(change.Path)
		}
		return nil
	case !fault.Is(err, fault.Exhausted) && !fault.Is(err, fault.TooLarge) && !fault.Is(err, fault.Invalid):
		return err
	case len(batch) == 1:
		notSaved[batch[0].Path] = NotSaved{Path: batch[0].Path, Reason: fault.MessageOf(err), Size: int64(len(batch[0].Content))}
		return nil
	}
	for i := range batch {
		if err := r.store(ctx, batch[i:i+1], base[i:i+1], notSaved); err != nil {
			return err
		}
	}
	return nil
}

// readTheirs makes a change of what the sandbox has at the action's path, with the content as it is now.
func (r *round) readTheirs(ctx context.Context, a workspace.Action) (workspace.SyncedChange, error) {
	out := workspace.SyncedChange{Change: workspace.Change{Kind: a.Theirs.Kind, Executable: a.Theirs.Executable, Target: a.Theirs.Target}}
	if a.Theirs.Kind != workspace.File {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	content, err := r.agent.Read(ctx, a.Path, r.files.Limits().FileBytes)
	if err != nil {
		return out, err
	}
	out.Content = content
	out.Hash = r.files.HashOf(workspace.SumOf(content))
	return out, nil
}

// push brings what the store changed into the sandbox, each step only if the sandbox still has what was seen.
func (r *round) push(ctx context.Context, actions []workspace.Action, notSaved map[string]NotSaved) error {
	for _, a := range slices.Backward(actions) {
		if a.Op != workspace.Push || a.Theirs == nil || a.Ours != nil && (a.Ours.Kind == workspace.Folder) == (a.Theirs.Kind == workspace.Folder) {
			continue
		}
		if err := r.settle(a, forget(a.Path), r.agent.Remove(ctx, a.Path, expectOf(a.Theirs)), notSaved); err != nil {
			return err
		}
	}
	for _, a := range actions {
		if a.Op != workspace.Push {
			continue
		}
		if a.Ours == nil {
			if a.Theirs == nil {
				r.base = append(r.base, forget(a.Path))
			}
			continue
		}
		expect := workspace.Expect{}
		if a.Theirs != nil && (a.Ours.Kind == workspace.Folder) == (a.Theirs.Kind == workspace.Folder) {
			expect = expectOf(a.Theirs)
		}
		var err error
		switch a.Ours.Kind {
		case workspace.Folder:
			err = r.agent.MakeFolder(ctx, a.Path)
		case workspace.Link:
			err = r.agent.MakeLink(ctx, a.Path, a.Ours.Target, expect)
		default:
			var content []byte
			if content, err = r.files.Content(ctx, r.live.workspace, a.Ours.Hash); err != nil {
				return err
			}
			err = r.agent.Put(ctx, a.Path, content, a.Ours.Executable, expect)
		}
		done := baseOf(a.Path, a.Ours.Kind, a.Ours.Executable, a.Ours.Hash, a.Ours.Target)
		if err := r.settle(a, done, err, notSaved); err != nil {
			return err
		}
	}
	return nil
}

// settle notes a step in the sandbox that was done, one that was not because the sandbox changed as one to look at again,
// and one that the sandbox refuses, such as a write below a folder that its user has closed, as a difference for the user
// to know. Other errors end the round.
func (r *round) settle(a workspace.Action, done workspace.BaseChange, err error, notSaved map[string]NotSaved) error {
	switch {
	case err == nil:
		r.base = append(r.base, done)
		return nil
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound):
		r.lookAgain(a.Path)
		return nil
	case fault.Is(err, fault.Forbidden), fault.Is(err, fault.Invalid), fault.Is(err, fault.TooLarge), fault.Is(err, fault.Exhausted):
		differs := NotSaved{Path: a.Path, Reason: "The stored version could not be brought into the sandbox: " + fault.MessageOf(err)}
		if a.Ours != nil {
			differs.Size = a.Ours.Size
		}
		notSaved[a.Path] = differs
		return nil
	default:
		return err
	}
}

func expectOf(seen *workspace.Seen) workspace.Expect {
	return workspace.Expect{Kind: seen.Kind, Sum: seen.Sum, Executable: seen.Executable, Target: seen.Target}
}

func (r *round) lookAgain(path string) { r.again.paths = append(r.again.paths, path) }

// setBase writes what both sides now agree on.
func (r *round) setBase(ctx context.Context) error {
	if len(r.base) == 0 {
		return nil
	}
	// What was done is done, also when the round is being given up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	err := r.files.SetBase(ctx, r.session, r.base)
	if err == nil {
		r.base = nil
	}
	return err
}

// publish replaces what is known not to be saved within the scope.
func (s *syncer) publish(sc scope, notSaved map[string]NotSaved, conflicts []Conflict) {
	for p := range s.notSaved {
		if p == "." || sc.holds(p) {
			delete(s.notSaved, p)
		}
	}
	for p, one := range notSaved {
		s.notSaved[p] = one
	}
	list := make([]NotSaved, 0, len(s.notSaved))
	for _, one := range s.notSaved {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b NotSaved) int { return strings.Compare(a.Path, b.Path) })
	s.live.report(list, conflicts)
}
