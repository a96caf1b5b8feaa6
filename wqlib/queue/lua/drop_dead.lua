--[[
  Removes dead items for good. Their leases stay counted.

  ARGV[2]  item id, and so on (at most 1000)

  Returns how many of them were dead, and are gone
]]

--include common
--include before
if before then
  return tonumber(string.match(before, ' (%d+)'))
end
local number = 0
for i = 2, #ARGV do
  local item_id = ARGV[i]
  if call('HDEL', dead, item_id) == 1 then
    local record = cjson.decode(call('HGET', tries, item_id))
    call('HDEL', tries, item_id)
    entry[#entry + 1] = 'drop'
    entry[#entry + 1] = item_id .. '-' .. record.attempt .. '@'
      .. record.history[#record.history].worker
    number = number + 1
  end
end
if number > 0 then
  call('HINCRBY', counts, 'drop', number)
end
local memo = number
--include close
return number
