#include "eval/metrics/distribution.h"

#include <Eigen/Dense>
#include <cmath>
#include <vector>

#include "eval/statistics/quantile.h"
#include "tools/base/error.h"

namespace melisma {
namespace distribution {
namespace {

using Rows = Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

Rows rows_of(const FeatureCloud& cloud) { return {cloud.values.data(), cloud.n(), cloud.width}; }

void check(const FeatureCloud& a, const FeatureCloud& b) {
  if (a.width != b.width || a.n() < 2 || b.n() < 2) {
    fail(ErrorKind::data, "two sets of features: {} vectors of {} and {} of {}; expected two or more of one width",
         a.n(), a.width, b.n(), b.width);
  }
}

Eigen::MatrixXd covariance(const Rows& rows) {
  const Eigen::MatrixXd centred = rows.rowwise() - rows.colwise().mean();
  return centred.transpose() * centred / static_cast<double>(rows.rows() - 1);
}

Eigen::MatrixXd square_root(const Eigen::MatrixXd& symmetric) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(symmetric);
  const Eigen::VectorXd roots = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
  return solver.eigenvectors() * roots.asDiagonal() * solver.eigenvectors().transpose();
}

// Squared distances [n_a, n_b].
Eigen::MatrixXd squared_distances(const Rows& a, const Rows& b) {
  Eigen::MatrixXd squares = -2 * a * b.transpose();
  squares.colwise() += a.rowwise().squaredNorm();
  squares.rowwise() += b.rowwise().squaredNorm().transpose();
  return squares.cwiseMax(0);
}

}  // namespace
}  // namespace distribution

double frechet_distance(const FeatureCloud& a, const FeatureCloud& b) {
  using namespace distribution;
  check(a, b);
  const auto rows_a = rows_of(a), rows_b = rows_of(b);
  const Eigen::MatrixXd of_a = covariance(rows_a), of_b = covariance(rows_b), root = square_root(of_a);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> between(root * of_b * root, Eigen::EigenvaluesOnly);
  const double means = (rows_a.colwise().mean() - rows_b.colwise().mean()).squaredNorm();
  return means + of_a.trace() + of_b.trace() - 2 * between.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
}

double squared_mmd(const FeatureCloud& a, const FeatureCloud& b, double bandwidth) {
  using namespace distribution;
  check(a, b);
  const auto kernel_sum = [&](const Rows& x, const Rows& y) {
    return (squared_distances(x, y) / (-2 * bandwidth * bandwidth)).array().exp().sum();
  };
  const auto rows_a = rows_of(a), rows_b = rows_of(b);
  const auto n = static_cast<double>(a.n()), m = static_cast<double>(b.n());
  // The unbiased estimate leaves out each vector's kernel with itself, which is 1.
  const auto within = [](double sum, double count) { return (sum - count) / (count * (count - 1)); };
  return within(kernel_sum(rows_a, rows_a), n) + within(kernel_sum(rows_b, rows_b), m) -
         2 * kernel_sum(rows_a, rows_b) / (n * m);
}

double median_distance(const FeatureCloud& cloud) {
  using namespace distribution;
  check(cloud, cloud);
  const auto rows = rows_of(cloud);
  std::vector<double> distances;
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    for (Eigen::Index j = i + 1; j < rows.rows(); ++j) distances.push_back((rows.row(i) - rows.row(j)).norm());
  }
  return median(distances);
}

}  // namespace melisma
