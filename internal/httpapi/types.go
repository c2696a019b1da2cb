package httpapi

import "time"

// The types of the HTTP API. The web client's types are generated from the OpenAPI document made of them.

// User is an account as its owner sees it.
type User struct {
	ID        string    `json:"id" format:"uuid"`
	Username  string    `json:"username"`
	Admin     bool      `json:"admin"`
	CreatedAt time.Time `json:"createdAt"`
}

// AuthOptions is what the login page needs to know before anybody is there.
type AuthOptions struct {
	Setup        bool `json:"setup" doc:"There is no account yet: the first is made through the link that the server prints."`
	Registration bool `json:"registration" doc:"Anybody may make an account."`
}

// Workspace is a workspace in a list or on its own.
type Workspace struct {
	ID        string    `json:"id" format:"uuid"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	ChangedAt time.Time `json:"changedAt"`
	State     string    `json:"state,omitempty" enum:"starting,running,ending" doc:"State of the live session; absent when there is none."`
}

// WorkspaceList is one page of workspaces, the last changed first.
type WorkspaceList struct {
	Items []Workspace `json:"items" nullable:"false"`
	Next  string      `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
}

// NewAccount is an account to make.
type NewAccount struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Setup makes the first account, an administrator's.
type Setup struct {
	Token    string `json:"token" doc:"From the link that the server printed; it works once."`
	Username string `json:"username"`
	Password string `json:"password"`
}

// Credentials are what a person logs in with.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// PasswordChange replaces one's own password.
type PasswordChange struct {
	Current string `json:"current"`
	Next    string `json:"next"`
}

// NewWorkspace is a workspace to make.
type NewWorkspace struct {
	Name     string `json:"name"`
	Template string `json:"template,omitempty" doc:"Id of a template; absent for an empty workspace."`
}

// WorkspaceChange changes a workspace.
type WorkspaceChange struct {
	Name string `json:"name"`
}

// NewFolder is a folder to make.
type NewFolder struct {
	Path string `json:"path"`
}

// Move is an item to move, with everything below it.
type Move struct {
	From string `json:"from"`
	To   string `json:"to" doc:"A path where nothing is yet."`
}

// NewTerminal is a shell to open.
type NewTerminal struct {
	Cols int `json:"cols,omitempty" doc:"Size in character cells; out of range values are clamped. 80 when absent."`
	Rows int `json:"rows,omitempty" doc:"24 when absent."`
}

// NewRun is a Python file to run in a terminal of its own.
type NewRun struct {
	Path string `json:"path"`
	Cols int    `json:"cols,omitempty" doc:"Size in character cells; out of range values are clamped. 80 when absent."`
	Rows int    `json:"rows,omitempty" doc:"24 when absent."`
}

// TemplateList is all templates.
type TemplateList struct {
	Items []Template `json:"items" nullable:"false"`
}

// Template is a folder that a workspace can be made from.
type Template struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Item is a file, folder or symbolic link.
type Item struct {
	Path       string    `json:"path"`
	Kind       string    `json:"kind" enum:"file,folder,link"`
	Executable bool      `json:"executable,omitempty"`
	Size       int64     `json:"size" doc:"Bytes."`
	Version    int64     `json:"version" doc:"Rises with each change; the ETag of the content is this in quotes."`
	Target     string    `json:"target,omitempty" doc:"Of a link."`
	ChangedAt  time.Time `json:"changedAt"`
}

// Tree is all of a workspace's items, ordered by path.
type Tree struct {
	Items []Item `json:"items" nullable:"false"`
}

// Session is one run of a workspace's sandbox.
type Session struct {
	ID        string     `json:"id" format:"uuid"`
	State     string     `json:"state" enum:"starting,running,ending,ended"`
	Reason    string     `json:"reason,omitempty" doc:"Why it ended or is ending, in words for its people."`
	CreatedAt time.Time  `json:"createdAt"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	EndsAt    *time.Time `json:"endsAt,omitempty" doc:"When it ends by its age; absent while that is far."`
}

// Usage is what a session's sandbox uses at one moment.
type Usage struct {
	At          time.Time `json:"at"`
	CPU         float64   `json:"cpu" doc:"Cores in use."`
	MemoryBytes int64     `json:"memoryBytes"`
	Processes   int       `json:"processes" doc:"0 when it is not known."`
	DiskBytes   int64     `json:"diskBytes" doc:"0 when it is not known."`
}

// Notice explains a limit that has bitten.
type Notice struct {
	At      time.Time `json:"at"`
	Limit   string    `json:"limit" enum:"memory,disk,processes"`
	Bound   int64     `json:"bound" doc:"The limit, in bytes or processes."`
	Peak    int64     `json:"peak" doc:"How much was used."`
	Process string    `json:"process,omitempty" doc:"What ran into it, where that is known."`
	Output  string    `json:"output,omitempty" doc:"The last lines of its terminal, where they are known."`
	Text    string    `json:"text" doc:"What happened and what to do."`
}

// Exit says how a terminal's process ended.
type Exit struct {
	Code   int       `json:"code" doc:"-1 when a signal ended it."`
	Signal string    `json:"signal,omitempty"`
	At     time.Time `json:"at"`
}

// Terminal is one PTY of the live session.
type Terminal struct {
	ID        string    `json:"id" format:"uuid"`
	Kind      string    `json:"kind" enum:"shell,run"`
	Title     string    `json:"title"`
	Cols      uint16    `json:"cols"`
	Rows      uint16    `json:"rows"`
	StartedAt time.Time `json:"startedAt"`
	Exit      *Exit     `json:"exit,omitempty" doc:"Absent while it runs."`
}

// NotSaved is something in the sandbox that the workspace does not store.
type NotSaved struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
	Size   int64  `json:"size"`
}

// Conflict says that both sides changed a file and that the sandbox's version was kept as a copy.
type Conflict struct {
	Path string `json:"path"`
	Copy string `json:"copy"`
}

// SessionView is what there is to know about a workspace's session.
type SessionView struct {
	Session   *Session   `json:"session,omitempty" doc:"The live one, else the last; absent when there was none."`
	Terminals []Terminal `json:"terminals" nullable:"false"`
	NotSaved  []NotSaved `json:"notSaved" nullable:"false"`
	Conflicts []Conflict `json:"conflicts" nullable:"false"`
	Usage     *Usage     `json:"usage,omitempty" doc:"Absent while nothing is known, and after the end."`
	Notices   []Notice   `json:"notices" nullable:"false" doc:"Oldest first."`
}

// Limits are what the installation allows.
type Limits struct {
	FileBytes      int64         `json:"fileBytes"`
	WorkspaceBytes int64         `json:"workspaceBytes"`
	WorkspaceItems int           `json:"workspaceItems"`
	Workspaces     int           `json:"workspaces" doc:"Of one owner."`
	PathBytes      int           `json:"pathBytes"`
	NameBytes      int           `json:"nameBytes"`
	PathDepth      int           `json:"pathDepth"`
	Terminals      int           `json:"terminals" doc:"In one session."`
	Sandbox        SandboxLimits `json:"sandbox"`
}

// SandboxLimits bound one sandbox.
type SandboxLimits struct {
	CPUs        float64 `json:"cpus" doc:"Of processor time; 1 is one core."`
	MemoryBytes int64   `json:"memoryBytes"`
	Processes   int     `json:"processes"`
	DiskBytes   int64   `json:"diskBytes" doc:"Everything written outside the home."`
	HomeBytes   int64   `json:"homeBytes"`
}
