SELECT 'pg_index'::regclass::oid, i.oid, n.nspname, i.relname, NULL, NULL,
  format('ALTER INDEX %s ATTACH PARTITION %I.%I;', h.inhparent::regclass, n.nspname, i.relname), 'post', h.inhparent
FROM pg_inherits h JOIN pg_class i ON i.oid = h.inhrelid JOIN pg_index x ON x.indexrelid = i.oid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE i.relkind IN ('i', 'I') AND @user(n) AND @own(c) AND (x.indisvalid OR c.relkind = 'p') AND x.indisready
AND NOT EXISTS (SELECT FROM pg_inherits t WHERE t.inhrelid = c.oid AND t.inhdetachpending) --@>=14
