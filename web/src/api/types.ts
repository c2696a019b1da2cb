import type { components } from "./schema.gen";

// Names for the generated types; the shapes are the server's alone.
type Schemas = components["schemas"];

export type User = Schemas["User"];
export type AuthOptions = Schemas["AuthOptions"];
export type Workspace = Schemas["Workspace"];
export type WorkspaceList = Schemas["WorkspaceList"];
export type Template = Schemas["Template"];
export type Item = Schemas["Item"];
export type Tree = Schemas["Tree"];
export type Session = Schemas["Session"];
export type Exit = Schemas["Exit"];
export type Terminal = Schemas["Terminal"];
export type NotSaved = Schemas["NotSaved"];
export type Conflict = Schemas["Conflict"];
export type Notice = Schemas["Notice"];
export type Usage = Schemas["Usage"];
export type SessionView = Schemas["SessionView"];
export type Limits = Schemas["Limits"];
