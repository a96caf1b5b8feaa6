--[[
  Wipes the queue: items, leases, dead items, results, counters and events. The numbers of
  items go on, so a worker that still holds an old lease cannot touch a new one.

  Returns how many items were waiting, leased or dead
]]

--include common
--include before
if before then
  return tonumber(string.match(before, ' (%d+)'))
end
local number = pending + call('ZCARD', leases) + call('HLEN', dead)
local items = call('HGET', counts, 'items')
call('XTRIM', events, 'MAXLEN', 0) -- not deleted: the ids of its entries must go on
call('UNLINK', list, leases, leased, requeued, tries, dead, counts, results, drained)
if items then
  call('HSET', counts, 'items', items, 'cleared', items, 'version', VERSION)
end
pending = 0
entry = { 'clear', '1' }
call('RPUSH', drained, '1') -- whoever waits learns that nothing is left
local memo = number
--include close
return number
