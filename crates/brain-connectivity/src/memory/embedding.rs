//! An embedding that can be compared: checked once, and measured exactly.
//!
//! Similarity is always the cosine computed here, in double precision over the stored single-precision values, in
//! this order of operations. Whoever finds the candidates, the ranking is the same.

use super::Error;

/// The length (Euclidean norm) of an embedding lies between these, so that single-precision arithmetic on it, as
/// pgvector does, neither overflows nor loses everything to underflow. Models give lengths around 1.
const LENGTHS: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// A valid embedding.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Embedding {
    values: Vec<f32>,
    length: f64,
}

impl Embedding {
    /// Checks `values`; `subject` names whose they are.
    pub(super) fn new(values: Vec<f32>, dimensions: usize, subject: impl Fn() -> String) -> Result<Self, Error> {
        if values.len() != dimensions {
            return Err(Error::Dimensions {
                subject: subject(),
                given: values.len(),
                expected: dimensions,
            });
        }
        let refuse = |reason: String| Err(Error::invalid(format!("the embedding of {}", subject()), reason));
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return refuse(format!("number {} is {}, not a finite number", at + 1, values[at]));
        }
        let length = length(&values);
        if length == 0.0 {
            return refuse("all its numbers are zero, so it points nowhere".to_owned());
        }
        if !LENGTHS.contains(&length) {
            return refuse(format!("its length is {length:e}, outside 1e-9 to 1e9; normalise it"));
        }
        Ok(Self { values, length })
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The cosine of the angle to `other`; `None` for what cannot be compared, which only others can have stored.
    pub(super) fn similarity(&self, other: &[f32]) -> Option<f64> {
        if other.len() != self.values.len() {
            return None;
        }
        let product: f64 = self
            .values
            .iter()
            .zip(other)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum();
        let similarity = product / (self.length * length(other));
        similarity.is_finite().then_some(similarity)
    }

    /// How far pgvector's cosine distance can be from the exact one, at most.
    ///
    /// It adds `n` products in single precision, in whatever order. With unit round-off `u = 2^-24` such a sum of
    /// products is off by at most `g = nu / (1 - nu)` times the sum of the products' magnitudes, whatever the order
    /// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). For the product of two vectors that is
    /// `g |a| |b|`, for a squared length `g |a|^2`; the quotient is then off by at most `2g / (1 - g)`. The rest, the double
    /// precision of the final steps and of our own cosine and the underflow that `LENGTHS` leaves possible, stays
    /// far below 1e-10.
    pub(super) fn pgvector_error(dimensions: usize) -> f64 {
        let nu = dimensions as f64 * (-24f64).exp2();
        let g = nu / (1.0 - nu);
        2.0 * g / (1.0 - g) + 1e-10
    }
}

fn length(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|value| f64::from(*value) * f64::from(*value))
        .sum::<f64>()
        .sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn embedding(values: &[f32]) -> Result<Embedding, Error> {
        Embedding::new(values.to_vec(), values.len(), || "memory `m`".to_owned())
    }

    #[test]
    fn refuses_what_cannot_be_compared() {
        let refused = |values: &[f32]| embedding(values).unwrap_err().to_string();
        insta::assert_snapshot!(refused(&[0.0, -0.0]), @"the embedding of memory `m` is not valid: all its numbers are zero, so it points nowhere");
        insta::assert_snapshot!(refused(&[1.0, f32::NAN]), @"the embedding of memory `m` is not valid: number 2 is NaN, not a finite number");
        insta::assert_snapshot!(refused(&[f32::NEG_INFINITY]), @"the embedding of memory `m` is not valid: number 1 is -inf, not a finite number");
        insta::assert_snapshot!(refused(&[3e20, 4e20]), @"the embedding of memory `m` is not valid: its length is 5.000000100204387e20, outside 1e-9 to 1e9; normalise it");
        assert!(embedding(&[1e-30]).is_err());
        let error = Embedding::new(vec![1.0; 768], 1536, || "the query".to_owned()).unwrap_err();
        insta::assert_snapshot!(error, @"the query has an embedding of 768 dimensions, but STUDIO_BRAIN_EMBEDDING_DIMENSIONS is 1536; use a model with 1536 dimensions or change the setting and embed again what is stored");
    }

    #[test]
    fn similarity_is_the_cosine() {
        let east = embedding(&[2.0, 0.0]).unwrap();
        assert_eq!(east.similarity(&[5.0, 0.0]), Some(1.0));
        assert_eq!(east.similarity(&[0.0, 1.0]), Some(0.0));
        assert_eq!(east.similarity(&[-1.0, 0.0]), Some(-1.0));
        assert_eq!(east.similarity(&[0.0, 0.0]), None);
        assert_eq!(east.similarity(&[1.0, 0.0, 0.0]), None);
        assert_eq!(east.similarity(&[f32::NAN, 0.0]), None);
    }

    /// pgvector's arithmetic, one value after another.
    fn single_precision(a: &[f32], b: &[f32]) -> f64 {
        let (mut product, mut a2, mut b2) = (0f32, 0f32, 0f32);
        for (a, b) in a.iter().zip(b) {
            product += a * b;
            a2 += a * a;
            b2 += b * b;
        }
        f64::from(product) / (f64::from(a2) * f64::from(b2)).sqrt()
    }

    proptest! {
        #[test]
        fn single_precision_stays_within_the_stated_error(
            pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 1..2000),
            scale in -8i32..8,
        ) {
            let a: Vec<f32> = pairs.iter().map(|pair| pair.0 * 2f32.powi(scale)).collect();
            let b: Vec<f32> = pairs.iter().map(|pair| pair.1).collect();
            if let (Ok(a), Ok(_)) = (embedding(&a), embedding(&b)) {
                let exact = a.similarity(&b).unwrap();
                let error = (single_precision(a.values(), &b) - exact).abs();
                prop_assert!(error <= Embedding::pgvector_error(b.len()), "{error:e}");
            }
        }
    }
}
