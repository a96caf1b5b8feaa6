--[[
  Is this a queue that this library understands?

  Returns {key, its type} of the first key of another type; {version} of a queue that another
  version of the library made; or nothing
]]

--include common
local kinds = { 'list', 'zset', 'hash', 'zset', 'hash', 'hash', 'hash', 'hash', 'stream', 'list' }
for i, kind in ipairs(kinds) do
  local found = call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= kind then
    return { KEYS[i], found }
  end
end
if call('EXISTS', counts) == 1 then
  local version = call('HGET', counts, 'version') or 'without a number'
  if version ~= VERSION then
    return { version }
  end
end
return {}
