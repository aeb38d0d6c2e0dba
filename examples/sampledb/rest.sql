-- What is checked, found and shown: made after the rows, which is faster.
ALTER TABLE music.genres ADD FOREIGN KEY (parent_id) REFERENCES music.genres;
ALTER TABLE music.albums ADD FOREIGN KEY (artist_id) REFERENCES music.artists;
ALTER TABLE music.album_genres ADD FOREIGN KEY (album_id) REFERENCES music.albums ON DELETE CASCADE,
  ADD FOREIGN KEY (genre_id) REFERENCES music.genres;
ALTER TABLE music.tracks ADD FOREIGN KEY (album_id) REFERENCES music.albums ON DELETE CASCADE, ADD UNIQUE (album_id, position);
ALTER TABLE music.listens ADD FOREIGN KEY (track_id) REFERENCES music.tracks;
ALTER TABLE sales.staff ADD FOREIGN KEY (store_id) REFERENCES sales.stores, ADD FOREIGN KEY (manager_id) REFERENCES sales.staff;
ALTER TABLE sales.customers ADD FOREIGN KEY (store_id) REFERENCES sales.stores;
ALTER TABLE sales.invoices ADD FOREIGN KEY (store_id) REFERENCES sales.stores, ADD FOREIGN KEY (customer_id) REFERENCES sales.customers;
ALTER TABLE sales.invoice_lines ADD FOREIGN KEY (invoice_id) REFERENCES sales.invoices ON DELETE CASCADE,
  ADD FOREIGN KEY (track_id) REFERENCES music.tracks;
ALTER TABLE sales.reviews ADD FOREIGN KEY (album_id) REFERENCES music.albums, ADD FOREIGN KEY (customer_id) REFERENCES sales.customers;
ALTER TABLE sales.support_notes ADD FOREIGN KEY (store_id) REFERENCES sales.stores, ADD FOREIGN KEY (customer_id) REFERENCES sales.customers;

CREATE INDEX ON music.albums (artist_id);
CREATE INDEX albums_title ON music.albums (lower(title));
CREATE INDEX albums_details ON music.albums USING gin (details);
CREATE INDEX ON music.listens (at);
CREATE INDEX ON sales.customers (lower(email));
CREATE INDEX customers_here ON sales.customers (store_id, name) WHERE left_at IS NULL;
CREATE INDEX ON sales.invoices (customer_id);
CREATE INDEX ON sales.invoices (issued_at);
CREATE INDEX invoices_open ON sales.invoices (store_id, issued_at) WHERE status = 'open';
CREATE INDEX ON sales.reviews (album_id);

CREATE VIEW music.album_overview AS
  SELECT al.id, ar.name AS artist, al.title, al.kind, al.year, al.price, count(t.id) AS tracks, sum(t.seconds) AS seconds
  FROM music.albums al JOIN music.artists ar ON ar.id = al.artist_id LEFT JOIN music.tracks t ON t.album_id = al.id
  GROUP BY al.id, ar.id;
CREATE VIEW sales.customer_totals AS
  SELECT c.id, c.name, c.country, count(i.id) AS invoices, coalesce(sum(i.total) FILTER (WHERE i.status = 'paid'), 0) AS spent
  FROM sales.customers c LEFT JOIN sales.invoices i ON i.customer_id = c.id GROUP BY c.id;
CREATE MATERIALIZED VIEW sales.revenue_by_month AS
  SELECT store_id, date_trunc('month', issued_at, 'UTC') AS month, count(*) AS invoices, sum(total) AS revenue
  FROM sales.invoices WHERE status = 'paid' GROUP BY 1, 2;
CREATE UNIQUE INDEX ON sales.revenue_by_month (store_id, month);

-- Each store sees its own notes. Whoever says for no store sees none.
ALTER TABLE sales.support_notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_store ON sales.support_notes USING (store_id = nullif(current_setting('app.store', true), '')::int);

COMMENT ON TABLE music.artists IS 'Bands and musicians, all made up.';
COMMENT ON TABLE music.albums IS 'What can be bought as a whole; details has label, vinyl and speed.';
COMMENT ON COLUMN music.albums.stock IS 'Copies in all stores together.';
COMMENT ON TABLE music.tracks IS 'Ten of each album. Invoices are for tracks.';
COMMENT ON COLUMN music.tracks.isrc IS 'International Standard Recording Code, made up.';
COMMENT ON TABLE music.listens IS 'Who listened to what in 2025; one partition for each quarter.';
COMMENT ON COLUMN music.listens.customer_id IS 'NULL for visitors. It is no foreign key.';
COMMENT ON TABLE sales.stores IS 'The tenants.';
COMMENT ON COLUMN sales.staff.salary IS 'EUR a month. Not for a model.';
COMMENT ON TABLE sales.customers IS 'One store has each of them. left_at is set for those who are gone.';
COMMENT ON TABLE sales.invoices IS 'One row for each; what was bought is in invoice_lines.';
COMMENT ON COLUMN sales.invoices.total IS 'EUR, the sum of the lines.';
COMMENT ON COLUMN sales.invoices.version IS 'Counts changes: name it in a condition to change what you have seen.';
COMMENT ON TABLE sales.support_notes IS 'Row level security: the setting app.store says whose notes are seen.';
COMMENT ON VIEW music.album_overview IS 'An album with its artist, number of tracks and length.';
COMMENT ON MATERIALIZED VIEW sales.revenue_by_month IS 'Paid invoices by store and month (UTC).';
ANALYZE;
