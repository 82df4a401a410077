#!/bin/sh
# data.sh - a CSV file goes up, Python sums a column of it, a test rewards the right sum, and the session is closed.
#
#   TCI_URL=http://127.0.0.1:3874 TCI_AUTH_TOKEN=… sh examples/data.sh
#
# Each call can be pasted on its own, once the four variables are set.
set -eu
URL=${TCI_URL:-http://127.0.0.1:3874}
TOKEN=${TCI_AUTH_TOKEN:-$(cat /var/lib/tci/auth_token)}
SESSION=example-$$
AUTH="X-Auth-Token: $TOKEN"

# 1. A session.  Without user_uuid the server draws one, and the answer says which.
curl -fsS "$URL/v1/sessions" -H "$AUTH" -d "{\"user_uuid\": \"$SESSION\", \"language\": \"python\"}"

# 6. However this ends, the session does, too.
trap 'curl -fsS -X DELETE "$URL/v1/sessions/$SESSION" -H "$AUTH"' EXIT

# 2. A file in its workspace: the body is the file.
printf 'col1,col2\n1,2\n3,4\n' |
    curl -fsS -T - "$URL/v1/sessions/$SESSION/files/data.csv" -H "$AUTH"

# 3. Code that uses the file, and a test of what it has made.
answer=$(curl -fsS "$URL/v1/sessions/$SESSION/executions" -H "$AUTH" -d '{
    "code": "import pandas as pd\ndf = pd.read_csv(\"data.csv\")\nresult = int(df[\"col1\"].sum())\nprint(f\"The sum is {result}\")\nresult",
    "tests": [{"name": "Check sum", "condition": "result == 4", "reward": 1.0}]}')

# 4. stdout, the value of the last expression, whether the test passed, its reward, the score of all of them.
printf '\n%s\n' "$answer"

# 5. The file, as it is there.
curl -fsS "$URL/v1/sessions/$SESSION/files/data.csv" -H "$AUTH"
