--[[
  Puts dead items back at the end of the list, with their failures forgiven and their
  number, attempts and history kept.

  ARGV[2]  item id, and so on (at most 1000)

  Returns how many of them were dead, and now wait
]]

--include common
--include before
if before then
  return tonumber(string.match(before, ' (%d+)'))
end
local number = 0
for i = 2, #ARGV do
  local item_id, item = ARGV[i], call('HGET', dead, ARGV[i])
  if item then
    call('HDEL', dead, item_id)
    local record = cjson.decode(call('HGET', tries, item_id))
    record.failed = 0
    call('HSET', tries, item_id, cjson.encode(record))
    call('RPUSH', list, item)
    call('ZADD', requeued, 0, redis.sha1hex(item) .. ':' .. item_id .. '-' .. record.attempt)
    number = number + 1
  end
end
if number > 0 then
  pending = pending + number
  entry = { 'requeue', number }
end
local memo = number
--include close
return number
