#[test]
fn rows_of_tables_are_without_mistakes() {
    assert_eq!(super::TABLES.mistakes(&super::SOURCE), Vec::<String>::new());
}
