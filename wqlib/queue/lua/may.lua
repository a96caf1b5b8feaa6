--[[
  May this user run the commands of a script? A right that is missing would otherwise stop the
  script half-way, after it has taken an item from the list. Redis 6.2 cannot tell.

  KEYS     those of the queue
  ARGV     commands

  Returns the first command that the user may not run on one of the keys, or false
]]

for _, command in ipairs(redis.acl_check_cmd and ARGV or {}) do
  for _, key in ipairs(KEYS) do
    if not redis.acl_check_cmd(command, key) then
      return command
    end
  end
end
return false
