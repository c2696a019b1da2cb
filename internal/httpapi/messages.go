package httpapi

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// describeMessages puts the sockets' messages into the document, so that clients get their types from it too.
func (a *API) describeMessages() {
	schemas := a.huma.OpenAPI().Components.Schemas
	for _, message := range []any{helloEvent{}, itemEvent{}, removedEvent{}, movedEvent{}, sessionEvent{}, terminalsEvent{}, notSavedEvent{}, usageEvent{}, noticesEvent{},
		conflictEvent{}, workspaceEvent{}, goneEvent{}, attachedMessage{}, droppedMessage{}, sizeMessage{}, exitMessage{}} {
		schemas.Schema(reflect.TypeOf(message), true, "")
	}
	for _, name := range []string{"HelloEvent", "SessionEvent"} {
		fields := schemas.Map()[name].Properties
		fields["session"] = &huma.Schema{AnyOf: []*huma.Schema{fields["session"], {Type: "null"}}}
	}
}
