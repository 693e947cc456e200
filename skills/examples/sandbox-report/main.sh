# Says what a skill sees: a skill in a few lines of shell, without any other program but cat, id and ls.
# It answers each request with the same report, so it needs to read nothing of it but the id.

json_text() {
  printf '"%s"' "$(printf '%s' "$1" | tr '\n"\\\t' ' ... ')"
}

while IFS= read -r line; do
  case $line in *'"id"'*) ;; *) continue ;; esac
  id=${line#*\"id\":}
  id=${id%%[,\}]*}
  printf '{"jsonrpc":"2.0","id":%s,"result":{"ok":true,"user":%s,"root":%s,"code":%s,"interfaces":%s,"variables":%s}}\n' \
    "$id" "$(json_text "$(id)")" "$(json_text "$(ls /)")" "$(json_text "$(ls .)")" \
    "$(json_text "$(cat /proc/net/dev 2>/dev/null | cut -d: -f1 -s)")" "$(json_text "$(env | cut -d= -f1)")"
done
