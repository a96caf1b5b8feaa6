--[[
  Completes the items of some leases and lends the next items, in one step: the heart of
  the queue. Leases that ran out are taken back first, a bounded number in each call.
  If one of the leases to complete is lost, nothing is lent.

  ARGV[2]  worker who asks
  ARGV[3]  how long a lease lasts, ms
  ARGV[4]  how many items to lend at most, 0 to 500
  ARGV[5]  failures after which an item is given up, 0: never
  ARGV[6]  how many of the items to lend the worker begins at once
  ARGV[7]  lease id to complete                            \ in turn,
  ARGV[8]  "=" and the result to keep, or "" for none      | for each item
  ARGV[9]  " " and how many ms ago the work began, " " and / to complete
           how many ms ago it ended, or "" for untold

  Returns {which completions were lost: their positions, from 0, between commas; deadline of
  the new leases, ms; items that wait; when nothing was lent, ms to the next deadline (-1: no
  item is leased either, unless some still wait); lease id, item, and so on}
]]

--include common
--include before
local wanted, given = tonumber(ARGV[4]), #ARGV

if before then
  local lost, deadline, tokens = string.match(before, ' (%S*) (%d+)(.*)$')
  local answer = { lost, deadline, pending, 0 }
  for token in string.gmatch(tokens, '%S+') do
    local lease_id = token .. '@' .. ARGV[2]
    local ends = call('ZSCORE', leases, lease_id)
    if ends and tonumber(ends) > now then
      answer[#answer + 1] = lease_id
      answer[#answer + 1] = call('HGET', leased, lease_id)
    end
  end
  return answer
end

-- Take back what ran out, the oldest first in line. What is then still in `leases` is in force.
if call('ZCOUNT', leases, '-inf', now) > 0 then
  --include end_lease
  local late = call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, math.max(16, 2 * wanted))
  for i = #late, 1, -1 do
    end_lease('expire', late[i], '', tonumber(ARGV[5]))
  end
  for i = 7, given, 3 do -- these may lie beyond the bound
    local ends = call('ZSCORE', leases, ARGV[i])
    if ends and tonumber(ends) <= now then
      end_lease('expire', ARGV[i], '', tonumber(ARGV[5]))
    end
  end
end
local deadline = now + ARGV[3] .. ''

-- The case that must be fast: one item for another. As the rest below, without tables and loops.
if given == 9 and wanted == 1 and ARGV[6] ~= '0' and pending > 0 and #entry == 0
    and call('ZCARD', requeued) == 0 and call('ZREM', leases, ARGV[7]) == 1 then
  call('HDEL', leased, ARGV[7])
  if not string.find(ARGV[7], '^%d+%-1@') then
    call('HDEL', tries, (string.match(ARGV[7], '^%d+')))
  end
  if ARGV[8] ~= '' then
    call('HSET', results, string.match(ARGV[7], '^%d+'), string.sub(ARGV[8], 2))
  end
  local item, token = call('LPOP', list), call('HINCRBY', counts, 'items', 1) .. '-1'
  local lease_id = token .. '@' .. ARGV[2]
  call('ZADD', leases, deadline, lease_id)
  call('HSET', leased, lease_id, item)
  pending = pending - 1
  entry = { 'complete', ARGV[7] .. ARGV[9],
    'lease', lease_id .. ' ' .. string.sub(item, 1, PREVIEW_BYTES), 'until', deadline }
  local memo = ' ' .. deadline .. ' ' .. token
  --include close
  return { '', deadline, pending, -1, lease_id, item }
end

-- Complete.
local lease_ids, lost = {}, ''
for i = 7, given, 3 do
  lease_ids[#lease_ids + 1] = ARGV[i]
end
local all_live = given > 6 and call('ZREM', leases, unpack(lease_ids)) == #lease_ids
if all_live then
  call('HDEL', leased, unpack(lease_ids))
end
local told = #entry
for i = 1, #lease_ids do
  local lease_id, result, timing = lease_ids[i], ARGV[5 + 3 * i], ARGV[6 + 3 * i]
  if all_live or call('HDEL', leased, lease_id) == 1 then
    if not string.find(lease_id, '^%d+%-1@') then
      call('HDEL', tries, (string.match(lease_id, '^%d+')))
    end
    if result ~= '' then
      call('HSET', results, string.match(lease_id, '^%d+'), string.sub(result, 2))
    end
    entry[told + 1] = 'complete'
    entry[told + 2] = lease_id .. timing
    told = told + 2
    ended = true
  else
    lost = lost .. (lost == '' and '' or ',') .. i - 1
    wanted = 0
  end
end

-- Lend.
local answer = { lost, deadline, pending, -1 }
local tokens = {}
if wanted > 0 and pending > 0 then
  local items = call('LPOP', list, wanted)
  local fresh = #items
  if call('ZCARD', requeued) > 0 then
    for i, item in ipairs(items) do
      local digest = redis.sha1hex(item)
      local known = call('ZRANGEBYLEX', requeued,
        '[' .. digest .. ':', '(' .. digest .. ';', 'LIMIT', 0, 1)[1]
      if known then
        call('ZREM', requeued, known)
        local item_id, attempt = string.match(known, ':(%d+)%-(%d+)$')
        tokens[i] = item_id .. '-' .. attempt + 1
        fresh = fresh - 1
      end
    end
    call('HINCRBY', counts, 'again', #items - fresh)
  end
  local number, deadlines = call('HINCRBY', counts, 'items', fresh) - fresh, {}
  if number == 0 then
    call('HSET', counts, 'version', VERSION)
  end
  for i = 1, #items do
    if not tokens[i] then
      number = number + 1
      tokens[i] = number .. '-1'
    end
    local lease_id, item = tokens[i] .. '@' .. ARGV[2], items[i]
    answer[2 * i + 3] = lease_id
    answer[2 * i + 4] = item
    deadlines[2 * i - 1] = deadline
    deadlines[2 * i] = lease_id
    entry[told + 1] = 'lease'
    entry[told + 2] = lease_id .. ' ' .. string.sub(item, 1, PREVIEW_BYTES)
    told = told + 2
  end
  call('ZADD', leases, unpack(deadlines))
  call('HSET', leased, unpack(answer, 5))
  entry[told + 1] = 'until'
  entry[told + 2] = deadline
  if tonumber(ARGV[6]) < #items then
    entry[told + 3] = 'begin'
    entry[told + 4] = ARGV[6]
  end
  pending = pending - #items
  answer[3] = pending
else
  -- Nothing to lend: say when the next lease would run out, so the caller can wait for that.
  call('ZREM', leases, '') -- a write that is never refused, so that the next ones are not
  local ends = call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
  if ends then
    answer[4] = math.max(0, ends - now)
    call('DEL', drained) -- from an earlier round; whoever waits, waits for the next
  end
end
local memo = lost .. ' ' .. deadline .. ' ' .. table.concat(tokens, ' ')
--include close
return answer
