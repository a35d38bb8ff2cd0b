//! Whether two types meet in one without rounding.
//!
//! Whole numbers and decimals become wider ones, digit for digit. A floating-point number has no place among them:
//! 9007199254740993 and 9007199254740992.0 are one number once the first has become a float.

use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::logical_expr::type_coercion::binary::binary_numeric_coercion;

/// Whether a value of one of them, or something in it, would be rounded in the type that both become.
pub(super) fn rounds(left: &DataType, right: &DataType) -> bool {
    use DataType::{Dictionary, FixedSizeList, LargeList, List, Map, Struct};
    match (left, right) {
        (Dictionary(_, value), other) | (other, Dictionary(_, value)) => rounds(value, other),
        (
            List(l) | LargeList(l) | FixedSizeList(l, _),
            List(r) | LargeList(r) | FixedSizeList(r, _),
        )
        | (Map(l, _), Map(r, _)) => rounds(l.data_type(), r.data_type()),
        (Struct(l), Struct(r)) => any_field_rounds(l, r),
        _ if left.is_numeric() && right.is_numeric() => number_rounds(left, right),
        _ => false,
    }
}

/// Fields meet those of their name, or else those of their place.
fn any_field_rounds(left: &Fields, right: &Fields) -> bool {
    left.iter().enumerate().any(|(place, field)| {
        let of_name = right.iter().find(|other| other.name() == field.name());
        let other = of_name.or_else(|| right.get(place));
        other.is_some_and(|other| rounds(field.data_type(), other.data_type()))
    })
}

fn number_rounds(left: &DataType, right: &DataType) -> bool {
    let has_decimal = left.is_decimal() || right.is_decimal();
    let loses_digits = |common: DataType| has_decimal && !common.is_decimal();
    left.is_floating() != right.is_floating()
        || binary_numeric_coercion(left, right).is_some_and(loses_digits)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;

    use super::*;

    #[test]
    fn whole_numbers_and_decimals_meet_and_floats_meet_floats_alone() {
        use DataType::{Decimal64, Decimal128, Float32, Float64, Int8, Int32, Int64, UInt64, Utf8};
        for (left, right, expected) in [
            (Int64, Float64, true),
            (Float32, Int8, true),
            (Decimal128(10, 2), Float64, true),
            (Decimal64(10, 2), Int64, true),
            (Int32, Int64, false),
            (UInt64, Int64, false),
            (Float32, Float64, false),
            (Decimal128(10, 2), Int64, false),
            (Decimal128(10, 2), Decimal128(20, 6), false),
            (Int64, Utf8, false),
        ] {
            assert_eq!(rounds(&left, &right), expected, "{left} {right}");
            assert_eq!(rounds(&right, &left), expected, "{right} {left}");
        }
    }

    #[test]
    fn what_is_inside_counts() {
        let list = |of: DataType| DataType::List(Arc::new(Field::new("item", of, true)));
        let both = |a: DataType, b: DataType| {
            let fields = vec![Field::new("a", a, true), Field::new("b", b, true)];
            DataType::Struct(fields.into())
        };
        let (whole, float) = (DataType::Int64, DataType::Float64);
        assert!(rounds(&list(whole.clone()), &list(float.clone())));
        assert!(!rounds(&list(whole.clone()), &list(DataType::Int32)));
        let left = both(whole.clone(), float.clone());
        assert!(rounds(&left, &both(whole.clone(), whole.clone())));
        assert!(!rounds(&left, &left));
    }
}
