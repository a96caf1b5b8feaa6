--[[
  Puts dead items back at the end of the list, with their failures forgiven and their
  number, attempts and history kept.

  ARGV[2]  item id, and so on (at most 1000)

  Returns how many of them were dead, and now wait
]]

local before = answered_before()
if before then
  return before
end
redis.call('HINCRBY', counts, 'requeued', 0) -- refused when memory is short
local number = 0
for i = 2, #ARGV do
  local item = redis.call('HGET', dead, ARGV[i])
  if item then
    local record = cjson.decode(redis.call('HGET', tries, ARGV[i]))
    record.failed = 0
    redis.call('HSET', tries, ARGV[i], cjson.encode(record))
    redis.call('RPUSH', list, item)
    redis.call('ZADD', requeued, 0,
      redis.sha1hex(item) .. ':' .. ARGV[i] .. '-' .. whole(record.attempt))
    redis.call('HDEL', dead, ARGV[i])
    number = number + 1
  end
end
if number > 0 then
  redis.call('HINCRBY', counts, 'requeued', number)
  redis.call('HINCRBY', counts, 'dead', -number)
  pending = pending + number
  tell('requeue', whole(number))
end
close(number, false)
return number
