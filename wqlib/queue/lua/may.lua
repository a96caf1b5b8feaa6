--[[
  May this user run the commands of a script? A right that is missing would otherwise stop the
  script half-way, after it has taken an item from the list. Redis 6.2 cannot tell.

  KEYS     those of the queue
  ARGV     commands

  Returns the first command that the user may not run on one of the keys, or false
]]

-- Newer servers want as many arguments as the command takes, and do not say how many that is.
local function may(command, key)
  local arguments = { key }
  while #arguments < 8 do
    local can_tell, allowed = pcall(redis.acl_check_cmd, command, unpack(arguments))
    if can_tell then
      return allowed
    end
    arguments[#arguments + 1] = '0'
  end
  local can_tell, allowed = pcall(redis.acl_check_cmd, command)
  return allowed or not can_tell
end

for _, command in ipairs(redis.acl_check_cmd and ARGV or {}) do
  for _, key in ipairs(KEYS) do
    if not may(command, key) then
      return command
    end
  end
end
return false
