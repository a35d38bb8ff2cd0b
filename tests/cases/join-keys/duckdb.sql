-- out
select a.k1, a.k2, a.v, cast(b.k1 as decimal(10, 1)) as ".k1", b.other, b.v as ".v" from read_csv('in/a.csv') a join read_csv('in/b.csv') b on a.k1 = b.k1 and a.k2 = b.other;
