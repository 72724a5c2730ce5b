package adminv1

import _ "embed"

//go:embed admin.openapi.json
var openAPI string

// OpenAPI is the API as an OpenAPI 3.1 document, generated from admin.proto too.
func OpenAPI() string { return openAPI }
