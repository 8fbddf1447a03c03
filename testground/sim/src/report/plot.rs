//! A table as a picture: ours with its spread, and the paper's beside it.

use plotters::prelude::*;
use thiserror::Error;

use super::Table;

/// A plot could not be drawn.
#[derive(Debug, Error)]
#[error("cannot draw {table}: {reason}")]
pub struct PlotError {
    table: &'static str,
    reason: String,
}

const SIZE: (u32, u32) = (1140, 560);

/// What is left of it for the chart; names of its lines stand beside that.
const CHART: u32 = 820;

/// Between two names.
const LINE: i32 = 18;

/// An SVG of the table's figures that have a place on an axis; `None` where none has.
///
/// # Errors
/// When the drawing fails.
pub fn plot(table: &Table) -> Result<Option<String>, PlotError> {
    let drawn: Vec<_> = table
        .figures
        .iter()
        .filter(|figure| figure.x.is_some())
        .collect();
    if drawn.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    draw(table, &mut svg).map_err(|error| PlotError {
        table: table.name,
        reason: error.to_string(),
    })?;
    Ok(Some(svg))
}

fn draw(table: &Table, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let points: Vec<(f64, f64)> = table
        .figures
        .iter()
        .flat_map(|figure| {
            let x = figure.x;
            let paper = figure.paper.map(|paper| paper.value);
            let tops = [
                Some(figure.mean - figure.deviation),
                Some(figure.mean + figure.deviation),
                paper,
            ];
            tops.into_iter().filter_map(move |y| Some((x?, y?)))
        })
        .collect();
    let (left, right) = range(points.iter().map(|point| point.0));
    let (bottom, top) = range(points.iter().map(|point| point.1));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let wide = left > 0.0 && right / left > 50.0;
    let (left_side, right_side) = root.split_horizontally(CHART);
    let mut names = Vec::new();
    let mut builder = ChartBuilder::on(&left_side);
    builder
        .caption(&table.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60);
    let height = bottom - (top - bottom) * 0.05..top + (top - bottom) * 0.05;
    // The two kinds of axis are two types, so the drawing is written for any.
    macro_rules! on {
        ($chart:expr) => {{
            let mut chart = $chart;
            chart
                .configure_mesh()
                .x_desc(table.axis)
                .light_line_style(WHITE)
                .draw()?;
            for (number, series) in series_of(table).into_iter().enumerate() {
                let color = Palette99::pick(number).to_rgba();
                let figures: Vec<_> = table
                    .figures
                    .iter()
                    .filter(|figure| figure.series == series && figure.x.is_some())
                    .collect();
                let ours = figures
                    .iter()
                    .map(|figure| (figure.x.unwrap_or_default(), figure.mean));
                chart.draw_series(LineSeries::new(ours, color.stroke_width(2)).point_size(3))?;
                names.push((series.clone(), color, false));
                chart.draw_series(figures.iter().map(|figure| {
                    let x = figure.x.unwrap_or_default();
                    let spread = figure.deviation;
                    PathElement::new(
                        vec![(x, figure.mean - spread), (x, figure.mean + spread)],
                        color,
                    )
                }))?;
                let papers: Vec<_> = figures
                    .iter()
                    .filter_map(|figure| Some((figure.x?, figure.paper?.value)))
                    .collect();
                if !papers.is_empty() {
                    let faint = color.mix(0.7);
                    chart.draw_series(papers.into_iter().map(|at| Cross::new(at, 4, faint)))?;
                    names.push((format!("{series}, paper"), faint, true));
                }
            }
        }};
    }
    if wide {
        on!(builder.build_cartesian_2d((left..right).log_scale(), height)?);
    } else {
        on!(builder.build_cartesian_2d(left..right, height)?);
    }
    for (place, (name, color, is_paper)) in names.into_iter().enumerate() {
        let y = 50 + LINE * place as i32;
        if is_paper {
            right_side.draw(&Cross::new((15, y), 4, color))?;
        } else {
            let line = vec![(6, y), (24, y)];
            right_side.draw(&PathElement::new(line, color.stroke_width(2)))?;
        }
        right_side.draw(&Text::new(name, (32, y - 6), ("sans-serif", 13)))?;
    }
    root.present()?;
    drop((left_side, right_side));
    drop(root);
    Ok(())
}

/// The smallest and the largest, apart even where there is one value only.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) = values.fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(least, most), value| (least.min(value), most.max(value)),
    );
    if least < most {
        (least, most)
    } else {
        (least - 0.5, most + 0.5)
    }
}

/// Those that have a place on the axis, in the order in which they first appear.
fn series_of(table: &Table) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for figure in table.figures.iter().filter(|figure| figure.x.is_some()) {
        if !all.contains(&figure.series) {
            all.push(figure.series.clone());
        }
    }
    all
}
