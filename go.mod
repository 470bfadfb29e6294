module github.com/crisphandover/handover

go 1.26

require (
	github.com/crisp-im/go-crisp-api/crisp/v3 v3.0.0-20251002125107-1bc4bdbcc749
	github.com/go-json-experiment/json v1.27.2
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/gorilla/websocket v1.5.0 // indirect
	github.com/graarh/golang-socketio v0.0.0-20170510162725-2c44953b9b5f // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
