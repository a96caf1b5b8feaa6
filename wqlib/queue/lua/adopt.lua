--[[
  Takes back what the client of the Kubernetes page left behind. What its workers have lies in a
  list of theirs, and for each item there is a key that lasts as long as the lease. Equal items
  share that key, so they come back together, when it is gone.

  ARGV[2]  that list
  ARGV[3]  item                              \ in turn, for each
  ARGV[4]  the key that lasts as its lease   / item

  Returns how many items came back, to the head of the line
]]

--include common
--include before
if before then
  return tonumber(string.match(before, ' (%d+)'))
end
local number = 0
for i = 3, #ARGV, 2 do
  if call('EXISTS', ARGV[i + 1]) == 0 then
    local found = call('LREM', ARGV[2], 0, ARGV[i])
    for _ = 1, found do
      call('LPUSH', list, ARGV[i])
    end
    number = number + found
  end
end
if number > 0 then
  pending = pending + number
  if call('HINCRBY', counts, 'put', number) == number then
    call('HSET', counts, 'version', VERSION)
  end
  entry = { 'put', number }
end
local memo = number
--include close
return number
