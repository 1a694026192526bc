-- Questions that people ask a PostgreSQL every day, one a line: each is read, and is harmless. Add what was refused.
SELECT id, name FROM users WHERE id = 7
SELECT count(*) FROM orders
SELECT u.name, sum(o.total) AS spent FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.name ORDER BY spent DESC LIMIT 10
SELECT u.name, o.total FROM users AS u LEFT JOIN orders AS o ON u.id = o.user_id WHERE o.id IS NULL
SELECT date_trunc('month', created) AS month, count(*) FROM orders GROUP BY 1 ORDER BY 1
SELECT to_char(created, 'YYYY-MM') AS m, sum(total) FROM orders GROUP BY m
SELECT name, age(created) FROM users ORDER BY created DESC LIMIT 5
SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY created DESC) AS rn FROM orders) t WHERE t.rn = 1
WITH recent AS (SELECT user_id, max(created) AS last FROM orders GROUP BY user_id) SELECT u.name, r.last FROM users u JOIN recent r ON r.user_id = u.id
SELECT DISTINCT ON (user_id) user_id, total FROM orders ORDER BY user_id, created DESC
SELECT data->>'city' AS city, count(*) FROM users GROUP BY 1
SELECT name FROM users WHERE data @> '{"plan": "pro"}'
SELECT name FROM users WHERE data ? 'plan'
SELECT name FROM users WHERE name ILIKE '%jo%' AND email NOT LIKE '%@example.com'
SELECT name FROM users WHERE created >= now() - interval '30 days'
SELECT name FROM users WHERE created BETWEEN '2024-01-01' AND '2024-12-31'
SELECT name FROM users WHERE id = ANY(ARRAY[1,2,3])
SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY total) FROM orders
SELECT count(*) FILTER (WHERE total > 100) AS big, count(*) AS all_orders FROM orders
SELECT string_agg(name, ', ' ORDER BY name) FROM users
SELECT d::date AS day, count(o.id) FROM generate_series('2024-01-01'::date, '2024-01-31'::date, '1 day'::interval) AS d LEFT JOIN orders o ON o.created::date = d::date GROUP BY 1 ORDER BY 1
SELECT day, count(o.id) FROM generate_series('2024-01-01'::timestamp, '2024-01-31', '1 day') AS g(day) LEFT JOIN orders o ON date_trunc('day', o.created) = g.day GROUP BY day
SELECT u.name, o.total FROM users u, LATERAL (SELECT total FROM orders WHERE user_id = u.id ORDER BY created DESC LIMIT 1) o
SELECT u.id, latest.total FROM users u CROSS JOIN LATERAL (SELECT total FROM orders o WHERE o.user_id = u.id LIMIT 1) AS latest
SELECT tag, count(*) FROM users, unnest(tags) AS tag GROUP BY tag
SELECT t.tag, count(*) FROM users u CROSS JOIN unnest(u.tags) AS t(tag) GROUP BY t.tag
SELECT key, value FROM users, jsonb_each_text(data)
SELECT elem->>'name' FROM users, jsonb_array_elements(data->'items') AS elem
SELECT coalesce(name, 'n/a'), CASE WHEN age > 65 THEN 'old' WHEN age > 18 THEN 'adult' ELSE 'young' END AS grp FROM users
SELECT round(avg(total)::numeric, 2) AS avg_total, min(total), max(total) FROM orders
SELECT EXTRACT(YEAR FROM created) AS y, EXTRACT(MONTH FROM created) AS m, SUM(total) FROM orders GROUP BY y, m ORDER BY y, m
SELECT user_id, total, lag(total) OVER (PARTITION BY user_id ORDER BY created) AS prev FROM orders
SELECT user_id, sum(total) OVER (ORDER BY created ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) FROM orders
SELECT user_id, avg(total) OVER w FROM orders WINDOW w AS (PARTITION BY user_id)
SELECT name FROM users WHERE EXISTS (SELECT 1 FROM orders WHERE orders.user_id = users.id AND total > 100)
SELECT name FROM users WHERE id NOT IN (SELECT user_id FROM orders WHERE user_id IS NOT NULL)
SELECT id FROM users UNION SELECT user_id FROM orders
SELECT id FROM users EXCEPT SELECT user_id FROM orders
SELECT user_id, total FROM orders GROUP BY GROUPING SETS ((user_id, total), (user_id), ())
SELECT user_id, sum(total) FROM orders GROUP BY ROLLUP (user_id)
SELECT user_id, sum(total) FROM orders GROUP BY CUBE (user_id)
SELECT name, tokens_used FROM users WHERE tokens_used > 1000 ORDER BY tokens_used DESC NULLS LAST FETCH FIRST 10 ROWS ONLY
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT n FROM t
WITH RECURSIVE tree AS (SELECT id, user_id, 1 AS depth FROM orders WHERE user_id IS NULL UNION ALL SELECT o.id, o.user_id, t.depth + 1 FROM orders o JOIN tree t ON o.user_id = t.id) SELECT tree.id, tree.depth FROM tree
SELECT $$it's$$ AS quote, $tag$a $$ b$tag$ AS other
SELECT now(), current_date, current_user, version()
SELECT name || ' <' || email || '>' FROM users
SELECT substring(email from '@(.*)$') AS domain, count(*) FROM users GROUP BY 1 ORDER BY 2 DESC
SELECT split_part(email, '@', 2) AS domain FROM users
SELECT regexp_replace(name, '\s+', ' ', 'g') FROM users
SELECT lower(trim(name)), upper(left(name, 1)), length(name) FROM users
SELECT array_agg(DISTINCT name ORDER BY name) FROM users
SELECT json_build_object('id', id, 'name', name) FROM users
SELECT jsonb_agg(jsonb_build_object('id', u.id, 'name', u.name)) FROM users u
SELECT json_agg(t) FROM (SELECT id, name FROM users LIMIT 5) t
SELECT row_to_json(t) FROM (SELECT id, name FROM users) t
SELECT id FROM users ORDER BY random() LIMIT 1
SELECT greatest(age, 18), least(age, 65), nullif(age, 0) FROM users
SELECT created AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin' FROM orders
SELECT created::date, total::int, id::text, '5'::bigint, 'a'::varchar(10) FROM orders
SELECT CAST(total AS DECIMAL(10,2)) FROM orders
SELECT width_bucket(total, 0, 1000, 10) AS bucket, count(*) FROM orders GROUP BY 1
SELECT stddev(total), variance(total), corr(total, user_id) FROM orders
SELECT ntile(4) OVER (ORDER BY total) AS quartile, total FROM orders
SELECT first_value(total) OVER (PARTITION BY user_id ORDER BY created) FROM orders
SELECT name FROM users WHERE name ~* '^a' AND email !~ 'test'
SELECT to_tsvector('english', name) @@ to_tsquery('english', 'a & b') FROM users
SELECT name FROM users WHERE (age, id) > (18, 5)
SELECT a.name, b.name FROM users a JOIN users b ON a.email = b.email AND a.id < b.id
SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'users'
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'
SELECT tc.constraint_name, kcu.column_name FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu ON tc.constraint_name = kcu.constraint_name WHERE tc.table_name = 'orders'
EXPLAIN SELECT name FROM users
EXPLAIN (COSTS OFF, FORMAT JSON) SELECT name FROM users
SELECT "id", "name" FROM "users" WHERE "age" > 18
SELECT users.id, users.name FROM users WHERE users.age IS NOT NULL
SELECT public.users.id FROM public.users
SELECT count(DISTINCT user_id), sum(total) / count(*) FROM orders
SELECT 100.0 * count(*) FILTER (WHERE age > 30) / nullif(count(*), 0) AS pct FROM users
SELECT date_part('dow', created) AS dow, count(*) FROM orders GROUP BY 1
SELECT generate_series(1, 5)
SELECT unnest(tags) FROM users
SELECT to_timestamp(1700000000), make_date(2024, 1, 1), justify_interval('40 days')
SELECT justify_days(sum(now() - created)) FROM orders
SELECT name FROM users ORDER BY name COLLATE "C"
SELECT name FROM users WHERE email IS DISTINCT FROM name
SELECT bool_and(age > 18), bool_or(age > 18), every(age > 1) FROM users
SELECT mode() WITHIN GROUP (ORDER BY age) FROM users
SELECT id, name FROM users WHERE created > CURRENT_DATE - INTERVAL '7 days'
SELECT id FROM users WHERE created > current_timestamp - '1 hour'::interval
SELECT o.id, o.total, u.name AS customer FROM orders AS o INNER JOIN users AS u ON u.id = o.user_id WHERE o.created >= DATE '2024-01-01' ORDER BY o.total DESC OFFSET 10 LIMIT 10
VALUES (1, 'a'), (2, 'b')
SELECT v.a FROM (VALUES (1, 'x'), (2, 'y')) AS v(a, b)
SELECT CASE u.age WHEN 1 THEN 'a' END, u.data #>> '{a,b}', u.tags[1] FROM users u
SELECT name FROM users;
SELECT o.user_id, COUNT(*) AS n, SUM(o.total) AS t FROM orders o GROUP BY o.user_id HAVING COUNT(*) > 1 AND SUM(o.total) > 10
SELECT gen_random_uuid(), md5('a'), encode('abc'::bytea, 'base64'), sha256('a')
SELECT tsrange('2024-01-01', '2024-02-01') && tsrange(now()::timestamp, NULL)
SELECT id FROM users WHERE name IN ('a', 'b') OR (age BETWEEN 1 AND 5 AND NOT email IS NULL)
SELECT format('%s has %s', name, age), concat_ws(', ', name, email), repeat('*', 3), lpad(id::text, 5, '0') FROM users
SELECT array_length(tags, 1), cardinality(tags), array_to_string(tags, ','), 'x' = ANY(tags) FROM users
SELECT jsonb_path_query(data, '$.a[*]'), jsonb_typeof(data), data - 'a', jsonb_set(data, '{a}', '1') FROM users
SELECT sum(case when age > 1 then 1 else 0 end) from users
