#!/bin/sh
# download.sh - JavaScript writes a file, its last expression is the result, the file comes down, and the session is closed.
#
#   TCI_URL=http://127.0.0.1:3874 TCI_AUTH_TOKEN=… sh examples/download.sh      needs: sh start.sh --with javascript
#
# Each call can be pasted on its own, once the four variables are set.
set -eu
URL=${TCI_URL:-http://127.0.0.1:3874}
TOKEN=${TCI_AUTH_TOKEN:-$(cat /var/lib/tci/auth_token)}
SESSION=example-$$
AUTH="X-Auth-Token: $TOKEN"

# 1. A session.
curl -fsS "$URL/v1/sessions" -H "$AUTH" -d "{\"user_uuid\": \"$SESSION\", \"language\": \"javascript\"}"

# 5. However this ends, the session does, too.
trap 'curl -fsS -X DELETE "$URL/v1/sessions/$SESSION" -H "$AUTH"' EXIT

# 2. Code that writes a file.
answer=$(curl -fsS "$URL/v1/sessions/$SESSION/executions" -H "$AUTH" -d '{
    "code": "const fs = require(\"fs\");\nfs.writeFileSync(\"output.txt\", \"Hello from TCI!\");\nconst result = 10 * 2;\nresult;"}')

# 3. The value of the last expression.
printf '\n%s\n' "$answer"

# 4. The file that it has made.
curl -fsS "$URL/v1/sessions/$SESSION/files/output.txt" -H "$AUTH"
