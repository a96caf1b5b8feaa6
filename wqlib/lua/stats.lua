--[[
  The numbers of the queue at one moment.

  Returns {items that wait; leased; dead; now, ms; {counter, value, ...}}
]]

return {
  pending, redis.call('ZCARD', leases), redis.call('HLEN', dead), now,
  redis.call('HGETALL', counts),
}
