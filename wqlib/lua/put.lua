--[[
  Appends items. Many calls may be on their way at once; each names the one before it and
  does nothing when that one did not run, so a filling that is cut off in the middle can be
  sent again from where it was cut, without a gap and without doubles.

  ARGV[2]  number of the call that must have run right before, or 0
  ARGV[3]  item, and so on (at most 1000)

  Returns how many items wait, or -1: the call before did not run
]]

if answered_before() then
  return pending
end
if ARGV[2] ~= '0' then
  local last = redis.call('GET', last_call)
  if not last or cmsgpack.unpack(last) ~= tonumber(ARGV[2]) then
    return -1
  end
end
local number = #ARGV - 2
redis.call('HINCRBY', counts, 'put', number)
pending = redis.call('RPUSH', list, unpack(ARGV, 3))
tell('put', whole(number))
close(1, false)
return pending
