package app

import "vivarium/internal/httpapi"

// OpenAPI returns the document of the HTTP API. It needs nothing but the program.
func OpenAPI() ([]byte, error) { return httpapi.Document(Version()) }
