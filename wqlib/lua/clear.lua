--[[
  Wipes the queue: items, leases, dead items, results, counters and events. The numbers of
  items go on, so a worker that still holds an old lease cannot touch a new one.

  Returns how many items were waiting, leased or dead
]]

local before = answered_before()
if before then
  return before
end
local gone = pending + redis.call('ZCARD', leases) + redis.call('HLEN', dead)
local items = redis.call('HGET', counts, 'items')
for i = 1, 10 do
  if KEYS[i] ~= events then
    redis.call('UNLINK', KEYS[i])
  end
end
redis.call('XTRIM', events, 'MAXLEN', 0) -- not deleted: the ids of its entries must go on
if items then
  redis.call('HSET', counts, 'items', items)
end
pending = 0
tell('clear', '1')
tell('pending', '0')
redis.call('XADD', events, '*', unpack(story))
redis.call('RPUSH', drained, '1') -- whoever waits learns that nothing is left
redis.call('SET', last_call, cmsgpack.pack(tonumber(ARGV[1]), gone), 'EX', CALL_KEPT_SECONDS)
return gone
