--[[
  Appends items. Many calls may be on their way at once; each names the one before it and
  does nothing when that one did not run, so a filling that is cut off in the middle can be
  sent again from where it was cut, without a gap and without doubles. A filling with a name
  can also be resumed by another process: the queue counts what came in under that name.

  ARGV[2]  number of the call that must have run right before, or 0
  ARGV[3]  name of the filling, or ""
  ARGV[4]  how many items came in under that name before this call
  ARGV[5]  item, and so on (at most 1000)

  Returns how many items wait, or -1: the call before did not run; -2: the queue counted
  another number of items under that name
]]

--include common
--include before
if before then
  return pending
end
local filled = 'filled ' .. ARGV[3]
if ARGV[2] ~= '0' and (not last or string.match(last, '^%d+') ~= ARGV[2]) then
  return -1
end
if ARGV[3] ~= '' and (call('HGET', counts, filled) or '0') ~= ARGV[4] then
  return -2
end
local number = #ARGV - 4
pending = call('RPUSH', list, unpack(ARGV, 5))
if call('HINCRBY', counts, 'put', number) == number then
  call('HSET', counts, 'version', VERSION)
end
if ARGV[3] ~= '' then
  call('HINCRBY', counts, filled, number)
end
entry = { 'put', number }
local memo = ''
--include close
return pending
